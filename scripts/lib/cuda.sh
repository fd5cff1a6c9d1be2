# Where CUDA's compiler is, and where it comes from. Sourced after common.sh, not run.

# Not a package of Debian main, and Debian's own (non-free) is too old: these come from the Python package
# index, where NVIDIA publishes the toolkit in pieces. Versions belong together.
cuda_wheels="
nvidia-cuda-nvcc==13.0.88       the compiler
nvidia-nvvm==13.0.88            its back end
nvidia-cuda-crt==13.0.88        headers that it includes by itself
nvidia-cuda-runtime==13.0.96    the runtime: headers and the static library
nvidia-cuda-cccl==13.0.85       CUB and Thrust, headers
nvidia-nvtx==13.0.85            ranges for profilers, headers
nvidia-cuda-cupti==13.0.85      hears of CUDA calls: what substitutes their return codes in tests
"
cuda_folder=${ENGRAM_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/engram}/cuda-13.0

# Prints the path of an nvcc that is new enough: the environment's, the system's, bootstrap's. Fails if there is none.
find_nvcc() {
  local each version
  for each in "${CUDACXX:-}" "$(command -v nvcc)" "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" "$cuda_folder/bin/nvcc"; do
    [[ -n $each && -x $each ]] || continue
    version=$("$each" --version | sed -nE 's/.*release ([0-9]+)\..*/\1/p')
    if ((${version:-0} >= 12)); then
      echo "$each"
      return
    fi
  done
  return 1
}

# Installs the wheels into cuda_folder, laid out as the toolkit is.
install_cuda_wheels() {
  local work log
  mkdir -p "$(dirname "$cuda_folder")" ||
    die "Cannot write to $(dirname "$cuda_folder"); set ENGRAM_CACHE_DIR to a folder that can be written."
  need_disk_space "$(dirname "$cuda_folder")" 1
  # Beside its final place, so that moving it there is one step.
  work=$(mktemp -d "$cuda_folder.XXXXXX")
  log=$work/pip.log
  # Unquoted: one word a wheel.
  if ! python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --target "$work/site" $(awk 'NF { print $1 }' <<<"$cuda_wheels") >"$log" 2>&1; then
    local reason
    reason=$(grep '^ERROR' "$log" | tail -n 1 || true)
    rm -rf "$work"
    die "CUDA's compiler cannot be fetched from the Python package index: check the network and pip's settings, or install NVIDIA's CUDA Toolkit 12 or newer by hand (${reason:-pip gave no reason})."
  fi
  # Names that nvcc and CMake look for and the wheels leave out.
  ln -s lib "$work/site/nvidia/cu13/lib64"
  ln -s libcudart.so.13 "$work/site/nvidia/cu13/lib/libcudart.so"
  ln -s libcupti.so.13 "$work/site/nvidia/cu13/lib/libcupti.so"
  rm -rf "$cuda_folder"
  mv "$work/site/nvidia/cu13" "$cuda_folder"
  rm -rf "$work"
}
