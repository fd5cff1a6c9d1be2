#include "engram/service/dashboard/routes.hpp"

#include "engram/service/dashboard/assets.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

namespace {

/// Scripts, styles, pictures and data from here alone, nothing written into the page itself.
constexpr std::string_view page_headers =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n";

struct asset {
  std::string_view name;
  std::string_view content;
  std::string_view type;
};

constexpr std::string_view html = "text/html; charset=utf-8", css = "text/css; charset=utf-8",
                           javascript = "text/javascript; charset=utf-8", svg = "image/svg+xml";

/// Returns what the page is made of. Not constant: the contents are defined elsewhere.
std::vector<asset> all_parts() {
  using namespace embedded;
  return {{"style.css", dashboard_style_css, css},
          {"icon.svg", dashboard_icon_svg, svg},
          {"chart.js", dashboard_chart_js, javascript},
          {"app.js", dashboard_app_js, javascript},
          {"charts.js", dashboard_charts_js, javascript},
          {"devices.js", dashboard_devices_js, javascript},
          {"elements.js", dashboard_elements_js, javascript},
          {"events.js", dashboard_events_js, javascript},
          {"heard.js", dashboard_heard_js, javascript},
          {"server.js", dashboard_server_js, javascript},
          {"spark.js", dashboard_spark_js, javascript},
          {"tries.js", dashboard_tries_js, javascript},
          {"way.js", dashboard_way_js, javascript}};
}

/// Returns an entity tag that another content does not have (FNV-1a, 64 bits).
std::string tag_of(std::string_view content) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : content)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "\"%016llx\"", static_cast<unsigned long long>(hash));
  return text.data();
}

/// Returns true if an If-None-Match names `tag`; servers in between may have marked it as weak.
bool names(std::string_view if_none_match, std::string_view tag) {
  return if_none_match.find(tag) != std::string_view::npos;
}

/// Returns the file, or that the browser's own copy is still good.
http_reply reply_with(const asset& file, const http_request& request,
                      std::string_view more_headers = {}) {
  const auto tag = tag_of(file.content);
  http_reply reply;
  reply.content_type = file.type;
  // The browser asks each time: a new version of Engram shows at once.
  reply.headers = "Cache-Control: no-cache\r\nETag: " + tag + "\r\n";
  reply.headers += more_headers;
  if (names(request.header("If-None-Match"), tag))
    reply.status = 304;
  else
    reply.body = file.content;
  return reply;
}

http_reply part_named(std::string_view name, const http_request& request) {
  for (const auto& part : all_parts())
    if (part.name == name) return reply_with(part, request);
  return error_reply(
      {ec::not_found, "the dashboard has no part " + std::string{name.substr(0, 100)}});
}

void tell(dashboard_feed& feed, http_stream& out) {
  dashboard_feed::place listener;
  do {
    if (const auto news = feed.news(listener); !news.empty() && !out.write(news)) return;
  } while (out.wait(feed.until_news()));
}

} // namespace

void add_dashboard_routes(http_router& router, dashboard_feed& feed) {
  router.add({"GET", "/", role::none, "the dashboard, a page for a browser",
              [](const http_request& asked) {
                const asset page{"", embedded::dashboard_page_html, html};
                return reply_with(page, asked, page_headers);
              }});
  router.add({"GET", "/dashboard/events", role::query,
              "what the dashboard shows, as server-sent events", [&feed](const http_request&) {
                http_reply reply;
                reply.content_type = "text/event-stream";
                reply.headers = "Cache-Control: no-store\r\n";
                reply.stream = [&feed](http_stream& out) { tell(feed, out); };
                return reply;
              }});
  router.add({"GET", "/dashboard/{file}", role::none,
              "scripts, style and icon of the dashboard's page",
              [](const http_request& asked) { return part_named(asked.parameters[0], asked); }});
}

} // namespace engram
