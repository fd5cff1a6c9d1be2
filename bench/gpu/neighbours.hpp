#pragma once

#include <optional>
#include <string_view>

namespace engram::bench {

/// Returns the processor time that the first line of /proc/stat counts as used, in ticks, with what
/// a hypervisor kept for others; nothing if it is no such line.
std::optional<double> busy_ticks(std::string_view line);

/// Tells how many cores other programs of this machine kept busy: what makes two runs differ though
/// nothing changed.
class neighbour_watch {
public:
  neighbour_watch();

  /// Returns the mean since construction; 0 where the system does not say.
  double cores_used_by_others() const;

private:
  struct reading {
    double machine_seconds = 0; ///< processor time used by all
    double own_seconds = 0;     ///< by this process
    double wall_seconds = 0;
  };
  static reading read();

  reading begin_;
};

} // namespace engram::bench
