#pragma once

#include <string_view>

/// The files of the dashboard's page, compiled in.
namespace engram::embedded {

extern const std::string_view dashboard_page_html, dashboard_style_css, dashboard_icon_svg;
extern const std::string_view dashboard_app_js, dashboard_charts_js, dashboard_devices_js,
    dashboard_elements_js, dashboard_events_js, dashboard_heard_js, dashboard_server_js,
    dashboard_spark_js, dashboard_tries_js, dashboard_way_js;
extern const std::string_view dashboard_chart_js; ///< the library Chart.js

} // namespace engram::embedded
