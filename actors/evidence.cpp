#include "engram/actors/evidence.hpp"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace engram {

namespace {

using json = nlohmann::ordered_json;

/// Findings that wait to be written hold their batches in memory.
constexpr std::size_t most_waiting = 8;

// -- a finding as JSON --

json number(float value) {
  if (std::isfinite(value)) return static_cast<double>(value);
  char bits[11];
  std::snprintf(bits, sizeof bits, "0x%08x", std::bit_cast<std::uint32_t>(value));
  return bits;
}

json numbers(std::span<const float> values) {
  auto out = json::array();
  for (const auto value : values)
    out.push_back(number(value));
  return out;
}

json rows(const matrix_view<const float>& all, std::size_t first, std::size_t count) {
  auto out = json::array();
  for (std::size_t r = first; r < first + count; ++r)
    out.push_back(numbers(all.row(r)));
  return out;
}

json seed_sets(const work_payload& payload, std::size_t first, std::size_t count) {
  auto out = json::array();
  for (std::size_t s = first; s < first + count; ++s) {
    auto set = json::array();
    for (const auto& each : payload.seed_sets[s])
      set.push_back({{"node", each.node}, {"amount", number(each.amount)}});
    out.push_back(std::move(set));
  }
  return out;
}

json inputs(const work_item& item) {
  const auto& payload = *item.payload;
  switch (payload.op) {
  case operation::search:
    return {{"k", payload.k}, {"queries", rows(payload.query_rows(), item.first, item.count)}};
  case operation::similarity:
    return {{"query", numbers(payload.query_rows().row(0))},
            {"targets", rows(payload.target_rows(), item.first, item.count)}};
  case operation::score: {
    const auto ids = std::span{payload.ids}.subspan(item.first, item.count);
    return {{"query", numbers(payload.query_rows().row(0))},
            {"ids", std::vector<row_id>(ids.begin(), ids.end())}};
  }
  case operation::spread:
    return {{"max_hops", payload.spread.max_hops},
            {"decay", number(payload.spread.decay)},
            {"threshold", number(payload.spread.threshold)},
            {"top", payload.spread.top},
            {"seed_sets", seed_sets(payload, item.first, item.count)}};
  }
  return {};
}

json output(const item_output& out) {
  auto hits = json::array();
  for (const auto& each : out.hits)
    hits.push_back({{"id", each.id}, {"score", number(each.score)}});
  return {{"counts", out.counts},
          {"hops", out.hops},
          {"hits", std::move(hits)},
          {"scores", numbers(out.scores)}};
}

json output_of(const outputs_ptr& outputs, std::size_t item) {
  return item < outputs->size() ? output((*outputs)[item]) : json(nullptr);
}

/// Returns "2026-01-31T12:00:00.123Z"; without marks "20260131T120000.123Z".
std::string utc(std::chrono::system_clock::time_point when, bool with_marks) {
  const auto seconds = std::chrono::system_clock::to_time_t(when);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, with_marks ? "%Y-%m-%dT%H:%M:%S" : "%Y%m%dT%H%M%S", &parts);
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(milliseconds));
  return std::string{text} + fraction;
}

// -- a finding as a file --

/// Writes `text` whole or throws: a reader never sees a part of it under its name.
void write_file(const std::filesystem::path& path, const std::string& text) {
  auto unfinished = path;
  unfinished += ".part";
  std::ofstream file{unfinished, std::ios::binary};
  file << text;
  file.close();
  if (!file) {
    const int why = errno;
    std::error_code ignored;
    std::filesystem::remove(unfinished, ignored);
    throw std::runtime_error(unfinished.string() + ": " + std::strerror(why));
  }
  std::filesystem::rename(unfinished, path);
}

} // namespace

std::string to_json(const wrong_answer& what, std::chrono::system_clock::time_point when) {
  const auto& batch = *what.batch;
  json out;
  out["time"] = utc(when, true);
  out["device"] = what.device;
  out["model"] = what.model;
  out["op"] = std::string{to_string(batch.op)};
  if (batch.data) out["dataset"] = {{"name", batch.data->name}, {"version", batch.data->version}};
  if (batch.dim > 0) out["dim"] = batch.dim;
  auto items = json::array();
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    auto gpu = output_of(what.gpu, i);
    auto cpu = output_of(what.cpu, i);
    const bool same =
        i < what.gpu->size() && i < what.cpu->size() && (*what.gpu)[i] == (*what.cpu)[i];
    items.push_back({{"differs", !same},
                     {"inputs", inputs(batch.items[i])},
                     {"gpu", std::move(gpu)},
                     {"cpu", std::move(cpu)}});
  }
  out["items"] = std::move(items);
  // A name that is no UTF-8 is no reason to have no file.
  return out.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

evidence_writer::~evidence_writer() {
  {
    const std::lock_guard lock{mutex_};
    ending_ = true;
  }
  changed_.notify_one();
  if (writer_.joinable()) writer_.join();
}

void evidence_writer::set_directory(std::string directory) {
  const std::lock_guard lock{mutex_};
  directory_ = std::move(directory);
  // Here and not in `keep`: a thread has the core of the thread that starts it, and that one's may
  // be an actor's own.
  if (directory_.empty() || writer_.joinable()) return;
  try {
    writer_ = std::thread{[this] { serve(); }};
  } catch (const std::system_error& why) {
    directory_.clear();
    note("evidence", std::string{"wrong answers will not be written: "} + why.what());
  }
}

void evidence_writer::keep(wrong_answer what) {
  {
    const std::lock_guard lock{mutex_};
    if (directory_.empty()) return;
    if (kept_ == most_files) {
      if (!std::exchange(told_limit_, true))
        note(what.device, "not written, nor will later ones be: there are " +
                              std::to_string(most_files) + " files by now");
      return;
    }
    if (waiting_.size() == most_waiting)
      return note(what.device,
                  "not written: " + std::to_string(most_waiting) + " others wait to be written");
    waiting_.push_back({directory_, ++kept_, std::move(what)});
  }
  changed_.notify_one();
}

void evidence_writer::serve() {
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const auto next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    try {
      write(next);
    } catch (const std::exception& why) {
      note(next.what.device, std::string{"cannot be written: "} + why.what());
    }
    lock.lock();
  }
}

void evidence_writer::write(const task& next) {
  // For a person, so it is the day's time; nothing is decided by it.
  const auto when = std::chrono::system_clock::now();
  const std::filesystem::path directory{next.directory};
  std::filesystem::create_directories(directory);
  const auto path =
      directory / ("wrong-answer-" + utc(when, false) + "-" + std::to_string(getpid()) + "-" +
                   std::to_string(next.number) + ".json");
  write_file(path, to_json(next.what, when));
  note(next.what.device, "the wrong answer is in " + path.string());
}

void evidence_writer::note(const std::string& device, std::string detail) {
  events_.add(clock_.now(), "evidence", device, std::move(detail));
}

} // namespace engram
