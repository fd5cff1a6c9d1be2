# Chart.js as Debian packages it: one minified file, no CMake package. Defines ChartJS_SCRIPT.
find_file(ChartJS_SCRIPT chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH)
if(ChartJS_SCRIPT)
  file(READ "${ChartJS_SCRIPT}" chartjs_head LIMIT 200)
  string(REGEX MATCH "Chart\\.js v([0-9.]+)" matched "${chartjs_head}")
  set(ChartJS_VERSION "${CMAKE_MATCH_1}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ChartJS REQUIRED_VARS ChartJS_SCRIPT VERSION_VAR ChartJS_VERSION
  REASON_FAILURE_MESSAGE "Install the package libjs-chart.js (scripts/bootstrap does): the dashboard's charts are drawn by it.")
mark_as_advanced(ChartJS_SCRIPT)
