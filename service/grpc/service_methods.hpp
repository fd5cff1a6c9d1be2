#pragma once

namespace engram {

/// A service whose methods are served as `Methods`, protoc's mixins, say: WithCallbackMethod_X, or
/// WithRawCallbackMethod_X for bytes in place of messages.
template <class Service, template <class> class... Methods>
struct service_with {
  using type = Service;
};
template <class Service, template <class> class First, template <class> class... Rest>
struct service_with<Service, First, Rest...> {
  using type = typename service_with<First<Service>, Rest...>::type;
};

} // namespace engram
