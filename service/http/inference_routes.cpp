#include "engram/service/http/inference_routes.hpp"

#include "engram/service/json_writer.hpp"
#include "engram/service/oip/inference_body.hpp"
#include "engram/service/oip/json_models.hpp"

#include <charconv>
#include <future>
#include <memory>
#include <string>
#include <utility>

namespace engram {

namespace {

http_reply json_reply(std::string body) {
  return {200, std::move(body)};
}

/// Answers what has nothing to say but that it is done.
http_reply done_reply(const result<void>& done) {
  return done ? json_reply("{}") : error_reply(done.error());
}

/// Returns what the path says of a model: its name, and its version in the longer patterns.
result<served_model> model_of(const http_request& in, const inference_server& server) {
  return find_model(server.pipe(), in.parameters[0], in.parameters[1]);
}

// -- health --

http_reply readiness(const http_door& door, std::string_view model = {}) {
  const auto held = door.held_state();
  const auto health = door.pipe().health();
  if (!held.empty() || !health.ready)
    return error_reply({ec::unavailable, "not ready: " + (held.empty() ? health.state : held)});
  json_writer out;
  out.begin_object();
  if (!model.empty()) out.field("name", model);
  return json_reply(out.field("ready", true).end_object().take());
}

http_reply liveness(const http_door& door) {
  const auto health = door.pipe().health();
  if (!health.live) return error_reply({ec::unavailable, "not live: " + health.state});
  return json_reply(R"({"live":true})");
}

// -- inference --

/// Returns how long the JSON of a body is; nothing if it is all of it.
result<std::optional<std::uint64_t>> json_bytes_of(const http_request& in) {
  const auto text = in.header("Inference-Header-Content-Length");
  if (text.empty()) return std::optional<std::uint64_t>{};
  std::uint64_t bytes = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size())
    return error{ec::invalid_argument, "Inference-Header-Content-Length must be a whole number"};
  return std::optional{bytes};
}

/// Waits for the outputs; the thread is the connection's own.
result<infer_response> infer(inference_server& server, infer_request what) {
  // Shared: whoever answers may still be within set_value when this one has gone on.
  const auto answer = std::make_shared<std::promise<result<infer_response>>>();
  auto given = answer->get_future();
  server.infer(std::move(what),
               [answer](result<infer_response> outputs) { answer->set_value(std::move(outputs)); });
  return given.get();
}

http_reply infer(const http_request& in, inference_server& server, std::uint64_t max_body_bytes) {
  const auto json_bytes = json_bytes_of(in);
  if (!json_bytes) return error_reply(json_bytes.error());
  auto read = read_inference(*in.body, *json_bytes, max_body_bytes, server.regions());
  if (!read) return error_reply(read.error());
  read->model = in.parameters[0];
  read->version = in.parameters[1];
  const auto outputs = infer(server, std::move(*read));
  if (!outputs) return error_reply(outputs.error());
  auto answer = write_inference(*outputs);
  http_reply reply{200, std::move(answer.body)};
  if (answer.json_bytes) {
    reply.content_type = "application/octet-stream";
    reply.headers =
        "Inference-Header-Content-Length: " + std::to_string(*answer.json_bytes) + "\r\n";
  }
  return reply;
}

// -- groups of routes --

/// Adds a route that a model has with and without a version.
void add_model_route(http_router& router, std::string_view method, std::string_view plain,
                     std::string_view versioned, std::string_view meaning,
                     const http_handler& handler) {
  router.add({method, plain, role::query, meaning, handler});
  router.add({method, versioned, role::query, meaning, handler});
}

void add_server_routes(http_router& router, http_door& door, inference_server& server) {
  router.add({"GET", "/v2", role::query, "the server's name, version and extensions",
              [&server](const http_request&) { return json_reply(server_metadata_json(server)); }});
  router.add({"GET", "/v2/health/live", role::none, "200 while the pipeline is alive, else 503",
              [&door](const http_request&) { return liveness(door); }});
  router.add({"GET", "/v2/health/ready", role::none, "200 while requests are taken, else 503",
              [&door](const http_request&) { return readiness(door); }});
}

void add_model_routes(http_router& router, http_door& door, inference_server& server) {
  const auto statistics = [&server](const http_request& in) {
    const auto models = models_named(server.pipe(), in.parameters[0], in.parameters[1]);
    if (!models) return error_reply(models.error());
    return json_reply(statistics_json(*models, server.statistics()));
  };
  // Before the models: the first route that fits is taken.
  router.add(
      {"GET", "/v2/models/stats", role::query, "how inferences of all models went", statistics});
  add_model_route(router, "GET", "/v2/models/{model}/stats",
                  "/v2/models/{model}/versions/{version}/stats", "how inferences of a model went",
                  statistics);
  add_model_route(router, "GET", "/v2/models/{model}", "/v2/models/{model}/versions/{version}",
                  "a model's inputs and outputs", [&server](const http_request& in) {
                    const auto model = model_of(in, server);
                    return model ? json_reply(metadata_json(*model)) : error_reply(model.error());
                  });
  add_model_route(router, "GET", "/v2/models/{model}/config",
                  "/v2/models/{model}/versions/{version}/config",
                  "a model's configuration as Triton words it", [&server](const http_request& in) {
                    const auto model = model_of(in, server);
                    return model ? json_reply(config_json(*model)) : error_reply(model.error());
                  });
  add_model_route(router, "GET", "/v2/models/{model}/ready",
                  "/v2/models/{model}/versions/{version}/ready", "200 while a model is served",
                  [&door, &server](const http_request& in) {
                    const auto model = model_of(in, server);
                    return model ? readiness(door, model->name) : error_reply(model.error());
                  });
}

void add_repository_routes(http_router& router, inference_server& server) {
  router.add(
      {"POST", "/v2/repository/index", role::query, "the models that there are",
       [&server](const http_request&) { return json_reply(index_json(models_of(server.pipe()))); },
       true});
  const auto refuse = [](const http_request&) {
    return error_reply({ec::invalid_argument,
                        "models are not loaded or unloaded: each model is a dataset, and is there "
                        "while the dataset is"});
  };
  router.add({"POST", "/v2/repository/models/{model}/load", role::admin,
              "refused: a model is there while its dataset is", refuse, true});
  router.add({"POST", "/v2/repository/models/{model}/unload", role::admin,
              "refused: a model is there while its dataset is", refuse, true});
}

void add_system_memory_routes(http_router& router, shared_memory_regions& regions) {
  const auto status = [&regions](const http_request& in) {
    const auto found = regions.list(in.parameters[0]);
    return found ? json_reply(regions_json(*found)) : error_reply(found.error());
  };
  const auto unregister = [&regions](const http_request& in) {
    return done_reply(regions.remove(in.parameters[0]));
  };
  router.add({"GET", "/v2/systemsharedmemory/status", role::query,
              "the shared memory that is registered", status});
  router.add({"GET", "/v2/systemsharedmemory/region/{region}/status", role::query,
              "one region of shared memory", status});
  router.add({"POST", "/v2/systemsharedmemory/region/{region}/register", role::query,
              "takes shared memory for tensors, where oip.shared_memory is true",
              [&regions](const http_request& in) {
                auto region = read_region(std::string{in.parameters[0]}, *in.body);
                return region ? done_reply(regions.add(std::move(*region)))
                              : error_reply(region.error());
              }});
  router.add({"POST", "/v2/systemsharedmemory/unregister", role::query, "forgets all shared memory",
              unregister, true});
  router.add({"POST", "/v2/systemsharedmemory/region/{region}/unregister", role::query,
              "forgets one region of shared memory", unregister, true});
}

/// CUDA's memory is never registered, so that there is none to tell of or to forget.
void add_cuda_memory_routes(http_router& router) {
  const auto refuse = [](const http_request&) { return error_reply(no_cuda_regions()); };
  router.add({"GET", "/v2/cudasharedmemory/status", role::query, "nothing: there is none",
              [](const http_request&) { return json_reply("[]"); }});
  router.add({"GET", "/v2/cudasharedmemory/region/{region}/status", role::query,
              "refused: there is none", refuse});
  router.add({"POST", "/v2/cudasharedmemory/region/{region}/register", role::query,
              "refused: CUDA shared memory is not taken", refuse, true});
  router.add({"POST", "/v2/cudasharedmemory/unregister", role::query, "nothing: there is none",
              [](const http_request&) { return json_reply("{}"); }, true});
  router.add({"POST", "/v2/cudasharedmemory/region/{region}/unregister", role::query,
              "refused: there is none", refuse, true});
}

} // namespace

void add_inference_routes(http_router& router, http_door& door, inference_server& server,
                          std::uint64_t max_body_bytes) {
  add_server_routes(router, door, server);
  add_model_routes(router, door, server);
  add_model_route(router, "POST", "/v2/models/{model}/infer",
                  "/v2/models/{model}/versions/{version}/infer",
                  "runs a model: a search, a similarity or a spread",
                  [&server, max_body_bytes](const http_request& in) {
                    return infer(in, server, max_body_bytes);
                  });
  add_repository_routes(router, server);
  add_system_memory_routes(router, server.regions());
  add_cuda_memory_routes(router);
}

} // namespace engram
