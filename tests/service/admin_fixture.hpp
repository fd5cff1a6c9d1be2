#pragma once

#include "engram/service/admin/admin.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace engram::test {

/// What the admin API steers in place of a daemon: it notes what it was told, and its store has the
/// one dataset "fresh".
class pretended_daemon {
public:
  admin_controls controls(pipeline& pipe) {
    admin_controls out;
    out.closed = closed;
    out.reload = [this] { return reload_outcome; };
    out.drain = [this] { ++drains; };
    out.publish = [this, &pipe](const std::string& reference) { return publish(pipe, reference); };
    out.log_level = [this] { return level_; };
    out.set_log_level = [this](const std::string& level) -> result<void> {
      if (level == "loud") return error{ec::invalid_argument, "there is no such level"};
      level_ = level;
      return {};
    };
    out.audit = [this](const std::string& line) {
      const std::lock_guard lock{mutex_};
      log_.push_back(line);
    };
    return out;
  }

  std::vector<std::string> log() const {
    const std::lock_guard lock{mutex_};
    return log_;
  }
  /// Returns once a publication has begun.
  void wait_for_publish() { begun_.get_future().wait(); }

  std::string closed;
  result<std::vector<key_change>> reload_outcome{std::vector<key_change>{}};
  std::atomic<int> drains{0};
  std::function<void()> before_publish;

private:
  result<dataset_ptr> publish(pipeline& pipe, const std::string& reference) {
    if (before_publish) {
      begun_.set_value();
      before_publish();
    }
    const auto name = reference.substr(0, reference.find('@'));
    if (name != "fresh") return error{ec::not_found, "there is no dataset '" + name + "'"};
    constexpr std::array<float, 2> row{1, 0};
    return pipe.publish(name, *vector_collection::make(matrix_view<const float>{row.data(), 1, 2}));
  }

  std::string level_ = "info";
  std::promise<void> begun_;
  mutable std::mutex mutex_;
  std::vector<std::string> log_;
};

} // namespace engram::test
