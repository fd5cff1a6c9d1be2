#include "engram/replay/report.hpp"

#include <algorithm>
#include <fstream>

namespace engram::replay {

namespace {

result<void> write_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out{file, std::ios::binary | std::ios::trunc};
  out << text;
  out.close();
  if (out) return {};
  return error{ec::resource_exhausted,
               file.string() + ": cannot be written; check the permissions and the space on disk"};
}

} // namespace

latency_histogram time_slice::all_loads() const {
  latency_histogram all;
  for (const auto& each : response)
    all.merge(each);
  return all;
}

std::string reason_text(const answer_source& source) {
  return std::string{to_string(source.reason)} + (source.fell_back ? ", fell back" : "");
}

const fault_event* report::fault_before(double at_seconds) const {
  const fault_event* last = nullptr;
  for (const auto& fault : faults)
    if (fault.at_seconds <= at_seconds && fault.refusal.empty()) last = &fault;
  return last;
}

std::string report::device_label(const std::string& device) const {
  // A split request names all its devices, joined by '+'.
  std::string label;
  for (std::size_t begin = 0; begin <= device.size();) {
    const auto end = std::min(device.find('+', begin), device.size());
    const auto name = device.substr(begin, end - begin);
    const auto known = std::find_if(devices.begin(), devices.end(),
                                    [&](const device_info& each) { return each.name == name; });
    (label += label.empty() ? "" : " + ") += name;
    if (known != devices.end() && known->kind == device_kind::simulated) label += " (simulated)";
    begin = end + 1;
  }
  return label;
}

result<void> write_report(const report& what, const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return error{ec::unavailable,
                 folder.string() + ": cannot be made a folder: " + failed.message()};
  if (auto done = write_file(folder / "replay.json", to_json(what)); !done) return done;
  return write_file(folder / "report.html", to_html(what));
}

} // namespace engram::replay
