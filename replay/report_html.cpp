#include "engram/devices/device.hpp"
#include "engram/replay/durations.hpp"
#include "engram/replay/report.hpp"
#include "engram/replay/wording.hpp"

#include <algorithm>
#include <string_view>

#include "report_page_parts.hpp"

namespace engram::replay {

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&quot;";
      break;
    default:
      out += c;
    }
  }
  return out;
}

/// Returns JSON that cannot end the script element it stands in.
std::string json_for_script(std::string json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '<')
      out += "\\u003c";
    else if (c != '\n')
      out += c;
  }
  return out;
}

std::string code(std::string_view text) {
  return "<code>" + escaped(text) + "</code>";
}

// -- tables
// ----------------------------------------------------------------------------------------

/// A cell's text, which is HTML already, and whether it is words and not a number.
struct cell {
  std::string html;
  bool is_text = false;
};

cell words(std::string html) {
  return {std::move(html), true};
}
cell figure(std::string text) {
  return {escaped(text), false};
}

std::string row_html(const std::vector<cell>& cells, std::string_view tag, bool is_sum = false) {
  std::string out = is_sum ? "<tr class=\"sum\">" : "<tr>";
  for (const auto& each : cells)
    out += '<' + std::string{tag} + (each.is_text ? " class=\"text\">" : ">") + each.html + "</" +
           std::string{tag} + '>';
  return out + "</tr>\n";
}

struct table {
  std::vector<cell> head;
  std::string rows;

  void add(const std::vector<cell>& cells, bool is_sum = false) {
    rows += row_html(cells, "td", is_sum);
  }
  std::string html() const {
    return "<div class=\"scroll\"><table><thead>\n" + row_html(head, "th") + "</thead><tbody>\n" +
           rows + "</tbody></table></div>\n";
  }
};

std::string section(std::string_view title, const std::string& body) {
  return "<section><h2>" + std::string{title} + "</h2>\n" + body + "</section>\n";
}

std::string quiet(const std::string& html) {
  return "<p class=\"quiet\">" + html + "</p>\n";
}

double per_second(const report& what, std::uint64_t number) {
  return what.measured_seconds > 0 ? static_cast<double>(number) / what.measured_seconds : 0.0;
}

// -- the top of the page
// ---------------------------------------------------------------------------

std::string verdict_class(verdict_kind kind) {
  switch (kind) {
  case verdict_kind::pass:
    return "pass";
  case verdict_kind::fail:
    return "fail";
  case verdict_kind::invalid:
    return "invalid";
  }
  return "invalid";
}

std::string simulated_note(const report& what) {
  std::string pretended;
  for (const auto& device : what.devices)
    if (device.kind == device_kind::simulated)
      pretended += (pretended.empty() ? "" : ", ") + device.name + " (" + device.model + ')';
  if (pretended.empty()) return {};
  return "<p class=\"note\"><b>Simulated GPU:</b> " + escaped(pretended) +
         ". Its answers are computed on this machine's processor and given at the time that a "
         "profile says. No number here is a measurement of that GPU.</p>\n";
}

std::string header_of(const report& what) {
  const auto kind = what.judgement.kind;
  auto out = "<header><h1>Replay of " + escaped(what.what.name) + "</h1><span class=\"verdict " +
             verdict_class(kind) + "\">" + std::string{to_string(kind)} +
             "</span>\n<p class=\"sub\">" + escaped(what.what.summary) +
             (what.what.summary.empty() ? "" : " &#183; ") + what.started_at + " &#183; seed " +
             std::to_string(what.what.seed) + " &#183; " +
             escaped(duration_text(what.what.measured));
  if (what.what.warm_up > duration::zero())
    out += " after " + escaped(duration_text(what.what.warm_up)) + " of warm-up";
  out += " &#183; " + escaped(what.target) + "</p>\n";
  if (!what.judgement.reasons.empty()) {
    out += "<ul class=\"reasons\">";
    for (const auto& reason : what.judgement.reasons)
      out += "<li>" + escaped(reason) + "</li>";
    out += "</ul>";
  }
  return out + "</header>\n" + simulated_note(what);
}

std::string card(std::string_view name, const std::string& value, const std::string& more) {
  return "<div class=\"card\"><div class=\"name\">" + std::string{name} +
         "</div><div class=\"value\">" + value + "</div><div class=\"more\">" + escaped(more) +
         "</div></div>\n";
}

std::string small(const std::string& text) {
  return " <small>" + escaped(text) + "</small>";
}

/// Tells how fast the first fault was noticed and how the last one ended.
std::string breaker_card(const report& what) {
  const auto is_to = [](breaker_state state) {
    return [state](const breaker_change& change) { return change.to == state; };
  };
  const auto opened =
      std::find_if(what.breaker.begin(), what.breaker.end(), is_to(breaker_state::open));
  if (opened == what.breaker.end()) return {};
  const auto closed =
      std::find_if(what.breaker.rbegin(), what.breaker.rend(), is_to(breaker_state::closed));
  const auto opens =
      std::count_if(what.breaker.begin(), what.breaker.end(), is_to(breaker_state::open));
  const auto* fault = what.fault_before(opened->at_seconds);
  const auto value =
      fault
          ? latency_text(static_cast<std::uint64_t>((opened->at_seconds - fault->at_seconds) * 1e9))
          : seconds_text(opened->at_seconds);
  auto more = "opened " + std::to_string(opens) + (opens == 1 ? " time" : " times");
  more += closed == what.breaker.rend() || closed->at_seconds < opened->at_seconds
              ? ", still open"
              : ", closed again at " + seconds_text(closed->at_seconds);
  return card(fault ? "GPU disabled after a fault" : "GPU disabled", escaped(value), more);
}

std::string cards_of(const report& what) {
  const auto& took = what.total.took.response;
  const auto p99_more = what.what.goal.p99
                            ? "objective " + duration_text(*what.what.goal.p99) + ", " +
                                  percent_text(share_of(what.total.in_time, what.total.requested)) +
                                  " within it"
                            : "p50 " + latency_text(took.quantile(0.5));
  auto out = card("Achieved", rate_text(per_second(what, what.total.completed)) + small("/s"),
                  "of " + rate_text(per_second(what, what.total.requested)) + "/s requested");
  out += card("p99 response time", escaped(latency_text(took.quantile(0.99))), p99_more);
  out += card("Lost, duplicated, wrong",
              count_text(what.lost) + ", " + count_text(what.duplicated) + ", " +
                  count_text(what.checks.wrong),
              count_text(what.sent) + " sent, " + count_text(what.checks.checked) + " compared");
  out += card("Errors", count_text(what.total.errors),
              percent_text(share_of(what.total.errors, what.total.sent)) + " of the requests");
  out += card("Fell back to the CPU", count_text(what.fell_back), "answers that a GPU owed");
  out += breaker_card(what);
  out += card("Late sends", percent_text(share_of(what.late_sends, what.total.sent)),
              "sent more than " + duration_text(what.what.late_limit()) + " late; above " +
                  percent_text(max_late_share) + " the run is invalid");
  return "<section class=\"cards\" aria-label=\"Key numbers\">\n" + out + "</section>\n";
}

std::string marks_of(const report& what) {
  if (what.faults.empty()) return {};
  std::string out = "<ol class=\"marks\">";
  for (std::size_t i = 0; i < what.faults.size(); ++i)
    out += "<li><b>" + std::to_string(i + 1) + "</b>" +
           escaped(seconds_text(what.faults[i].at_seconds)) + ' ' + code(what.faults[i].setting) +
           "</li>";
  return out + "</ol>\n";
}

// -- the tables
// ------------------------------------------------------------------------------------

std::string loads_section(const report& what) {
  table rows{{words("load"), figure("requested/s"), figure("achieved/s"), figure("p50"),
              figure("p90"), figure("p99"), figure("p99.9"), figure("max"), figure("service p99"),
              figure("errors")},
             {}};
  const auto add = [&](const load_result& load, bool is_sum) {
    const auto& took = load.took.response;
    auto name = escaped(load.name);
    if (load.op && to_string(*load.op) != load.name)
      name += " (" + std::string{to_string(*load.op)} + ')';
    rows.add({words(name), figure(rate_text(per_second(what, load.requested))),
              figure(rate_text(per_second(what, load.completed))),
              figure(latency_text(took.quantile(0.5))), figure(latency_text(took.quantile(0.9))),
              figure(latency_text(took.quantile(0.99))), figure(latency_text(took.quantile(0.999))),
              figure(latency_text(took.max())),
              figure(latency_text(load.took.service.quantile(0.99))),
              figure(count_text(load.errors))},
             is_sum);
  };
  for (const auto& load : what.loads)
    add(load, false);
  add(what.total, true);
  return section("Rates and response times",
                 rows.html() +
                     quiet("Response times count from the scheduled time of a request, so a stall "
                           "shows in every request that had to wait for it; service time counts "
                           "from the moment it was really sent. Warm-up excluded."));
}

std::string answers_section(const report& what) {
  table rows{{words("device"), words("reason"), figure("answers"), figure("share")}, {}};
  for (const auto& [source, count] : what.by_device)
    rows.add({words(escaped(what.device_label(source.device))), words(reason_text(source)),
              figure(count_text(count)),
              figure(percent_text(share_of(count, what.total.answered)))});
  auto after =
      count_text(what.fell_back) + " answers came from another device than the first one asked";
  for (const auto& [cause, count] : what.fallback_causes)
    after += ", " + count_text(count) + " because of " + code(cause);
  return section("Answers by device and reason", rows.html() + quiet(after + "."));
}

std::string errors_section(const report& what) {
  if (what.errors.empty()) return {};
  table rows{{words("error"), figure("count"), words("for example")}, {}};
  for (const auto& [name, count] : what.errors) {
    const auto example = what.error_examples.find(name);
    rows.add({words(code(name)), figure(count_text(count)),
              words(example == what.error_examples.end() ? "" : escaped(example->second))});
  }
  return section("Errors", rows.html());
}

std::string timeline_section(const report& what) {
  struct line {
    double at;
    std::string kind, text, after;
  };
  std::vector<line> lines;
  for (const auto& fault : what.faults)
    lines.push_back(
        {fault.at_seconds, "fault",
         code(fault.setting) + (fault.refusal.empty() ? "" : " refused: " + escaped(fault.refusal)),
         ""});
  for (const auto& change : what.breaker) {
    const auto* fault = what.fault_before(change.at_seconds);
    lines.push_back(
        {change.at_seconds, "breaker",
         escaped(what.device_label(change.device)) + ": " + std::string{to_string(change.from)} +
             " &#8594; <b>" + std::string{to_string(change.to)} + "</b>" +
             (change.why.empty() ? "" : " &#183; " + escaped(change.why)),
         fault ? latency_text(
                     static_cast<std::uint64_t>((change.at_seconds - fault->at_seconds) * 1e9))
               : ""});
  }
  for (const auto& each : what.publications)
    lines.push_back(
        {each.at_seconds, "publish",
         escaped(each.dataset) + (each.refusal.empty() ? "" : ": " + escaped(each.refusal)), ""});
  for (const auto& event : what.events)
    lines.push_back({event.at_seconds, escaped(event.kind),
                     escaped(event.subject) + ": " + escaped(event.detail), ""});
  if (lines.empty()) return {};
  std::stable_sort(lines.begin(), lines.end(),
                   [](const line& a, const line& b) { return a.at < b.at; });
  table rows{{figure("time"), words("what"), words("change"), figure("since the last fault mark")},
             {}};
  for (const auto& each : lines)
    rows.add(
        {figure(seconds_text(each.at)), words(each.kind), words(each.text), figure(each.after)});
  return section("Faults and recovery", rows.html());
}

std::string correctness_section(const report& what) {
  table rows{{words("promise"), figure("count"), words("how it was counted")}, {}};
  rows.add({words("lost"), figure(count_text(what.lost)),
            words("requests whose callback was never called, warm-up included")});
  rows.add({words("duplicated"), figure(count_text(what.duplicated)),
            words("callbacks that were called again")});
  rows.add({words("wrong"), figure(count_text(what.checks.wrong)),
            words(count_text(what.checks.checked) + " of " + count_text(what.sampled) +
                  " sampled answers were compared bit by bit with the scalar reference")});
  if (what.checks.made_wrong > 0)
    rows.add(
        {words("made wrong"), figure(count_text(what.checks.made_wrong)),
         words("answers that a fault of the timeline changed on purpose; not counted as wrong")});
  rows.add({words("overdue"), figure(count_text(what.overdue)),
            words("answers more than " + duration_text(overdue_grace) + " after their deadline")});
  if (what.counts) {
    rows.add({words("late answers"), figure(count_text(what.counts->late_answers)),
              words("second answers that the pipeline itself dropped")});
    rows.add({words("shadow mismatches"), figure(count_text(what.counts->shadow_mismatches)),
              words("of " + count_text(what.counts->shadow_runs) + " shadow runs")});
    rows.add({words("actor restarts"), figure(count_text(what.counts->actor_restarts)), words("")});
  }
  std::string examples;
  for (const auto& example : what.checks.examples)
    examples += "<li>" + escaped(example) + "</li>";
  if (!examples.empty()) examples = "<ul>" + examples + "</ul>\n";
  return section("Promises", rows.html() + examples);
}

std::string range_text(const count_range& range) {
  if (range.lowest == range.highest) return count_text(range.lowest);
  return count_text(range.lowest) + " to " + count_text(range.highest);
}

std::string request_text(const load_spec& load) {
  switch (load.op) {
  case operation::search:
    return range_text(load.queries) + " queries, k " + std::to_string(load.k) + ", " + load.dataset;
  case operation::similarity:
    return range_text(load.targets) + " targets, dim " + std::to_string(load.dim);
  case operation::score:
    return range_text(load.ids) + " ids, " + load.dataset;
  case operation::spread:
    break;
  }
  return range_text(load.seed_sets) + " seed sets of " + range_text(load.seeds) + " seeds, " +
         std::to_string(load.spread.max_hops) + " hops, " + load.dataset;
}

std::string arrival_text(const load_spec& load) {
  if (load.arrival != arrival_kind::bursts)
    return rate_text(load.rate) + "/s " + std::string{to_string(load.arrival)};
  return count_text(load.burst_size) + " every " + duration_text(load.burst_period);
}

std::string scenario_section(const report& what) {
  table rows{{words("load"), words("arrivals"), words("each request"), figure("deadline"),
              figure("priority")},
             {}};
  for (const auto& load : what.what.loads)
    rows.add({words(escaped(load.name)), words(escaped(arrival_text(load))),
              words(escaped(request_text(load))),
              figure(load.deadline ? duration_text(*load.deadline) : "default"),
              figure(std::to_string(load.priority))});
  return section("What was sent", rows.html());
}

std::string machine_section(const report& what) {
  table rows{{words("what"), words("")}, {}};
  const auto& here = what.machine;
  rows.add({words("processor"), words(escaped(here.processor) + ", " + std::to_string(here.cores) +
                                      " cores, " + escaped(here.instruction_set))});
  rows.add({words("memory"), words(std::to_string(here.memory_bytes >> 30) + " GiB")});
  for (const auto& device : what.devices)
    rows.add({words(escaped(device.name)),
              words(escaped(device.model) +
                    (device.kind == device_kind::simulated ? " &#183; <b>simulated</b>" : ""))});
  rows.add({words("system"), words(escaped(here.kernel))});
  rows.add({words("compiler"), words(escaped(here.compiler))});
  return section("Machine", rows.html());
}

std::string config_section(const report& what) {
  if (what.config.empty()) return {};
  table changed{{words("key"), words("value"), words("from")}, {}};
  table all = changed;
  for (const auto& each : what.config) {
    const std::vector<cell> cells{words(code(each.key)), words(code(each.value)),
                                  words(escaped(each.origin))};
    all.add(cells);
    if (each.origin != "default") changed.add(cells);
  }
  return section("Configuration",
                 (changed.rows.empty() ? quiet("Every key has its default.") : changed.html()) +
                     "<details><summary>All keys</summary>" + all.html() + "</details>\n");
}

std::string filled(std::string_view page,
                   const std::vector<std::pair<std::string_view, std::string>>& parts) {
  std::string out;
  while (!page.empty()) {
    const auto open = page.find("{{");
    out += page.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = page.find("}}", open);
    const auto name = page.substr(open + 2, close - open - 2);
    for (const auto& [key, text] : parts)
      if (key == name) out += text;
    page.remove_prefix(close + 2);
  }
  return out;
}

} // namespace

std::string to_html(const report& what) {
  return filled(
      report_page::page_html,
      {{"title", escaped("Replay of " + what.what.name)},
       {"style", std::string{report_page::style_css}},
       {"header", header_of(what)},
       {"cards", cards_of(what)},
       {"marks", marks_of(what)},
       {"tables", loads_section(what) + answers_section(what) + timeline_section(what) +
                      errors_section(what) + correctness_section(what) + scenario_section(what) +
                      machine_section(what) + config_section(what)},
       {"data", json_for_script(to_json(what))},
       {"script", std::string{report_page::charts_js}}});
}

} // namespace engram::replay
