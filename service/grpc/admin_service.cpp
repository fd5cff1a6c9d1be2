#include "engram/service/grpc/admin_service.hpp"

#include "engram/service/grpc/messages.hpp"
#include "engram/service/grpc/peer.hpp"
#include "engram/service/grpc/status.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace engram {

namespace {

/// One call until its work is done. gRPC frees it through OnDone.
class admin_call final : public grpc::ServerUnaryReactor {
public:
  admin_call(open_calls& calls, grpc::CallbackServerContext& context)
      : open_(calls), context_(context) {}

  /// Ends the call with what `work` returns or throws.
  template <class Work>
  void finish(const Work& work) noexcept {
    Finish(status_of(context_, work));
  }
  void OnDone() override { delete this; }

private:
  open_calls::counted open_;
  grpc::CallbackServerContext& context_;
};

void encode(const std::vector<fault_points::site_info>& sites, v1::FaultSites& out) {
  for (const auto& each : sites) {
    auto& to = *out.add_sites();
    to.set_site(each.name);
    for (const auto task : each.tasks.names())
      to.add_tasks(std::string{task});
    to.set_setting(each.setting);
    to.set_fired(each.fired);
    to.set_meaning(each.meaning);
  }
}

} // namespace

template <class Body>
grpc::ServerUnaryReactor* admin_service::serve(grpc::CallbackServerContext& context,
                                               std::string closed, std::string_view what,
                                               takes how_long, Body body) {
  return begin_call(context, [&]() -> result<grpc::ServerUnaryReactor*> {
    auto admitted = door_.admit(context, role::admin);
    const admin_caller who{peer_text(context.peer()), std::move(admitted.identity)};
    if (admitted.refusal) {
      actions_.note_refusal(who, what, {ec::invalid_argument, admitted.refusal->error_message()});
      return finish_call(context, *admitted.refusal);
    }
    if (!actions_.is_open()) return admin::not_open_yet();
    if (!closed.empty()) {
      actions_.note_refusal(who, what, {ec::invalid_argument, closed});
      context.AddTrailingMetadata("engram-code", "forbidden");
      return finish_call(
          context, {grpc::StatusCode::PERMISSION_DENIED, "the admin API is closed: " + closed});
    }
    auto call = std::make_unique<admin_call>(door_.calls(), context);
    auto job = [call = call.get(), who, body] { call->finish([&] { return body(who); }); };
    if (how_long == takes::no_time)
      job();
    else if (!jobs_.push(std::move(job)))
      return error{ec::overloaded, "too many admin calls wait for their turn; try again later"};
    return call.release();
  });
}

grpc::ServerUnaryReactor* admin_service::Reload(grpc::CallbackServerContext* context,
                                                const v1::ReloadRequest*, v1::ReloadResponse* out) {
  return serve(*context, actions_.closed(), "reload", takes::time,
               [this, out](const admin_caller& who) -> result<void> {
                 const auto changed = actions_.reload(who);
                 if (!changed) return changed.error();
                 for (const auto& each : *changed) {
                   auto& to = *out->add_changed();
                   to.set_key(each.key);
                   to.set_before(each.before);
                   to.set_after(each.after);
                 }
                 return {};
               });
}

grpc::ServerUnaryReactor* admin_service::Drain(grpc::CallbackServerContext* context,
                                               const v1::DrainRequest*, v1::DrainResponse* out) {
  return serve(*context, actions_.closed(), "drain", takes::no_time,
               [this, out](const admin_caller& who) -> result<void> {
                 out->set_in_flight(actions_.drain(who).in_flight);
                 return {};
               });
}

grpc::ServerUnaryReactor* admin_service::Publish(grpc::CallbackServerContext* context,
                                                 const v1::PublishRequest* in,
                                                 v1::PublishResponse* out) {
  return serve(*context, actions_.closed(), "publish", takes::time,
               [this, in, out](const admin_caller& who) -> result<void> {
                 const auto data = actions_.publish(who, in->dataset());
                 if (!data) return data.error();
                 encode_dataset(**data, door_.pipe().health().devices, *out->mutable_dataset());
                 return {};
               });
}

grpc::ServerUnaryReactor* admin_service::Drop(grpc::CallbackServerContext* context,
                                              const v1::DropRequest* in, v1::DropResponse* out) {
  return serve(*context, actions_.closed(), "drop", takes::time,
               [this, in, out](const admin_caller& who) -> result<void> {
                 const auto dropped = actions_.drop(who, in->dataset());
                 if (!dropped) return dropped.error();
                 out->set_name(dropped->name);
                 out->set_version(dropped->version);
                 return {};
               });
}

grpc::ServerUnaryReactor* admin_service::SetBreaker(grpc::CallbackServerContext* context,
                                                    const v1::SetBreakerRequest* in,
                                                    v1::SetBreakerResponse* out) {
  return serve(*context, actions_.closed(), "breaker", takes::time,
               [this, in, out](const admin_caller& who) -> result<void> {
                 const auto device = actions_.override_breaker(who, in->device(), in->override());
                 if (!device) return device.error();
                 out->set_device(device->info.name);
                 out->set_override(std::string{to_string(device->overridden)});
                 out->set_breaker(std::string{to_string(device->breaker)});
                 out->set_available(device->available);
                 out->set_success_rate(device->success_rate);
                 return {};
               });
}

grpc::ServerUnaryReactor* admin_service::GetLogLevel(grpc::CallbackServerContext* context,
                                                     const v1::GetLogLevelRequest*,
                                                     v1::LogLevel* out) {
  return serve(*context, actions_.closed(), "log level", takes::no_time,
               [this, out](const admin_caller&) -> result<void> {
                 out->set_level(actions_.log_level());
                 return {};
               });
}

grpc::ServerUnaryReactor* admin_service::SetLogLevel(grpc::CallbackServerContext* context,
                                                     const v1::LogLevel* in, v1::LogLevel* out) {
  return serve(*context, actions_.closed(), "log level", takes::no_time,
               [this, in, out](const admin_caller& who) -> result<void> {
                 if (const auto set = actions_.set_log_level(who, in->level()); !set)
                   return set.error();
                 out->set_level(actions_.log_level());
                 return {};
               });
}

grpc::ServerUnaryReactor* admin_service::ListFaults(grpc::CallbackServerContext* context,
                                                    const v1::ListFaultsRequest*,
                                                    v1::FaultSites* out) {
  return serve(*context, actions_.faults_closed(), "faults", takes::no_time,
               [this, out](const admin_caller&) -> result<void> {
                 encode(actions_.faults(), *out);
                 return {};
               });
}

grpc::ServerUnaryReactor* admin_service::SetFaults(grpc::CallbackServerContext* context,
                                                   const v1::SetFaultsRequest* in,
                                                   v1::FaultSites* out) {
  return serve(*context, actions_.faults_closed(), "faults", takes::no_time,
               [this, in, out](const admin_caller& who) -> result<void> {
                 const std::vector<std::string> settings{in->faults().begin(), in->faults().end()};
                 if (settings.empty())
                   return error{ec::invalid_argument,
                                "faults is empty: give SITE=TASK, or call ClearFaults"};
                 if (const auto armed = actions_.arm_faults(who, settings); !armed)
                   return armed.error();
                 encode(actions_.faults(), *out);
                 return {};
               });
}

grpc::ServerUnaryReactor* admin_service::ClearFaults(grpc::CallbackServerContext* context,
                                                     const v1::ClearFaultsRequest*,
                                                     v1::FaultSites* out) {
  return serve(*context, actions_.faults_closed(), "faults", takes::no_time,
               [this, out](const admin_caller& who) -> result<void> {
                 actions_.disarm_faults(who);
                 encode(actions_.faults(), *out);
                 return {};
               });
}

} // namespace engram
