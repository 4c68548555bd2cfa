#include "server/guard_metrics.h"

namespace tensord {

void AppendGuardMetrics(const GuardCounters& counters, MetricText& text) {
  text.Family("tensord_connections", "gauge", "Connections that are open.");
  for (const ListenerCounters& listener : counters.listeners()) {
    text.Sample({{"listener", listener.address()}}, static_cast<double>(listener.open()));
  }
  text.Family("tensord_connections_total", "counter", "Connections that were offered.");
  for (const ListenerCounters& listener : counters.listeners()) {
    for (size_t i = 0; i < kAcceptResults.size(); ++i) {
      text.Sample({{"listener", listener.address()}, {"result", kAcceptResults[i]}},
                  static_cast<double>(listener.offered(static_cast<AcceptResult>(i))));
    }
  }
  text.Family("tensord_guard_closed_total", "counter", "Connections that the guard has closed.");
  for (size_t i = 0; i < kCloseReasons.size(); ++i) {
    text.Sample({{"reason", kCloseReasons[i]}},
                static_cast<double>(counters.closed(static_cast<CloseReason>(i))));
  }
}

}  // namespace tensord
