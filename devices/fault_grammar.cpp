#include "engram/devices/fault_grammar.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

namespace engram {

namespace {

using kind = fault_action::kind;

/// The longest delay that makes sense in a test: one hour.
constexpr double max_delay_ms = 3'600'000.0;

struct task_name {
  std::string_view name;
  kind what;
};
constexpr task_name tasks[] = {{"off", kind::none},      {"return", kind::fail},
                               {"delay", kind::delay},   {"hang", kind::hang},
                               {"exit", kind::exit},     {"corrupt", kind::corrupt},
                               {"cuda", kind::misbehave}};

std::string_view trim(std::string_view text) noexcept {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_space(text.back()))
    text.remove_suffix(1);
  return text;
}

std::string quoted(std::string_view text) {
  return '"' + std::string(text) + '"';
}

/// Reads one setting and knows where in it an error is.
class setting_parser {
public:
  explicit setting_parser(std::string_view text) noexcept : text_(text) {}

  result<fault_setting> parse() const {
    const auto equals = text_.find('=');
    if (equals == std::string_view::npos)
      return wrong(text_, "has no '='; expected SITE=TERM[->TERM...], for example "
                          "gpu0.launch=5%return(sticky)");
    fault_setting setting;
    const auto site = trim(text_.substr(0, equals));
    if (site.empty()) return wrong(text_, "names no site before '='");
    setting.site = site;
    const auto program = trim(text_.substr(equals + 1));
    setting.program = program;
    for (std::size_t at = 0;;) {
      const auto arrow = program.find("->", at);
      auto term = parse_term(trim(program.substr(at, arrow - at)));
      if (!term) return std::move(term).error();
      setting.terms.push_back(*term);
      if (arrow == std::string_view::npos) return setting;
      at = arrow + 2;
    }
  }

private:
  error wrong(std::string_view part, std::string_view why) const {
    std::string message = "fault setting " + quoted(text_) + ": ";
    if (part.data() != text_.data() || part.size() != text_.size()) {
      const auto column = static_cast<std::size_t>(part.data() - text_.data()) + 1;
      message += quoted(part) + " at character " + std::to_string(column) + ' ';
    } else {
      message += "it ";
    }
    return {ec::invalid_argument, message.append(why)};
  }

  // TERM = [P%][COUNT*]TASK[(ARG)]
  result<fault_term> parse_term(std::string_view text) const {
    if (text.empty())
      return wrong(text,
                   "is an empty term; expected off, return, delay, hang, exit, corrupt or cuda");
    fault_term term;
    // '%' and '*' belong to the term's head only; an argument starts with '('.
    const auto head = text.substr(0, text.find('('));
    auto rest = text;
    if (const auto percent = head.find('%'); percent != std::string_view::npos) {
      const auto p = parse_probability(trim(text.substr(0, percent)));
      if (!p) return p.error();
      term.probability = *p;
      rest = text.substr(percent + 1);
    }
    const auto rest_head = rest.substr(0, rest.find('('));
    if (const auto star = rest_head.find('*'); star != std::string_view::npos) {
      const auto count = parse_count(trim(rest.substr(0, star)));
      if (!count) return count.error();
      term.remaining = *count;
      rest = rest.substr(star + 1);
    }
    auto action = parse_task(trim(rest));
    if (!action) return std::move(action).error();
    term.action = *action;
    return term;
  }

  result<double> parse_probability(std::string_view text) const {
    const auto percent = parse_decimal(text);
    if (!percent || *percent > 100.0)
      return wrong(text, "is no probability; expected a number from 0 to 100 before '%'");
    return *percent / 100.0;
  }

  result<std::uint64_t> parse_count(std::string_view text) const {
    std::uint64_t count = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (code != std::errc{} || end != text.data() + text.size() || count == 0)
      return wrong(text, "is no count; expected a whole number of at least 1 before '*'");
    return count;
  }

  result<fault_action> parse_task(std::string_view text) const {
    const auto open = text.find('(');
    const auto name = trim(text.substr(0, open));
    const auto* task = std::find_if(std::begin(tasks), std::end(tasks),
                                    [&](const task_name& t) { return t.name == name; });
    if (task == std::end(tasks))
      return wrong(name.empty() ? text : name,
                   "is no task; expected off, return, delay, hang, exit, corrupt or cuda");
    if (open == std::string_view::npos) return without_argument(task->what, text);
    if (text.back() != ')') return wrong(text, "has no ')' at its end");
    return with_argument(task->what, text, trim(text.substr(open + 1, text.size() - open - 2)));
  }

  static constexpr std::string_view needs_misdeed =
      "needs what a GPU is to do; expected cuda(illegal_address), cuda(trap), cuda(assert), "
      "cuda(hang) or cuda(oom)";

  result<fault_action> without_argument(kind what, std::string_view text) const {
    if (what == kind::delay)
      return wrong(text, "needs a time in milliseconds, for example delay(2.5)");
    if (what == kind::misbehave) return wrong(text, needs_misdeed);
    return fault_action{what, fault_class::transient, {}};
  }

  result<fault_action> with_argument(kind what, std::string_view text,
                                     std::string_view argument) const {
    if (what == kind::fail) {
      const auto fault = parse_fault_class(argument);
      if (!fault)
        return wrong(text, "names no fault class; expected return(oom), return(transient), "
                           "return(sticky) or return(no_device)");
      return fault_action{what, *fault, {}};
    }
    if (what == kind::delay) {
      const auto ms = parse_decimal(argument);
      if (!ms || *ms > max_delay_ms)
        return wrong(text,
                     "needs a time in milliseconds from 0 to 3600000, for example delay(2.5)");
      return fault_action{what, fault_class::transient, from_seconds(*ms / 1000.0)};
    }
    if (what == kind::misbehave) {
      const auto misdeed = parse_misbehaviour(argument);
      if (!misdeed) return wrong(text, needs_misdeed);
      return fault_action{what, fault_class::sticky, {}, *misdeed};
    }
    return wrong(text, "takes no argument; only return, delay and cuda do");
  }

  /// Returns a plain decimal number that is not negative.
  static std::optional<double> parse_decimal(std::string_view text) noexcept {
    double value = 0.0;
    const auto* last = text.data() + text.size();
    const auto [end, code] = std::from_chars(text.data(), last, value, std::chars_format::fixed);
    if (code != std::errc{} || end != last || !std::isfinite(value) || std::signbit(value))
      return std::nullopt;
    return value;
  }

  std::string_view text_;
};

} // namespace

std::string_view to_string(fault_action::kind what) noexcept {
  const auto* task = std::find_if(std::begin(tasks), std::end(tasks),
                                  [&](const task_name& t) { return t.what == what; });
  return task == std::end(tasks) ? std::string_view{} : task->name;
}

std::vector<std::string_view> fault_tasks::names() const {
  std::vector<std::string_view> out;
  for (const auto& task : tasks)
    if (task.what != kind::none && has(task.what)) out.push_back(task.name);
  return out;
}

std::string fault_tasks::to_string() const {
  std::string out;
  for (const auto name : names())
    out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

result<fault_setting> parse_fault_setting(std::string_view text) {
  return setting_parser(trim(text)).parse();
}

result<std::vector<fault_setting>> parse_fault_settings(std::span<const std::string> texts) {
  std::vector<fault_setting> settings;
  for (const auto& text : texts) {
    auto setting = parse_fault_setting(text);
    if (!setting) return std::move(setting).error();
    for (const auto& earlier : settings)
      if (earlier.site == setting->site)
        return error{ec::invalid_argument, "fault site " + quoted(setting->site) +
                                               " is set twice; chain its terms with '->' instead"};
    settings.push_back(*std::move(setting));
  }
  return settings;
}

std::vector<std::string> split_fault_settings(std::string_view text) {
  std::vector<std::string> settings;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(';', at), text.size());
    if (const auto piece = trim(text.substr(at, end - at)); !piece.empty())
      settings.emplace_back(piece);
    at = end + 1;
  }
  return settings;
}

result<void> check_fault_setting(std::string_view setting) {
  auto parsed = parse_fault_setting(setting);
  if (!parsed) return std::move(parsed).error();
  return {};
}

} // namespace engram
