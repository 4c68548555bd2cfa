// Several observers as one.
#pragma once

#include <utility>
#include <vector>

#include "server/call_context.h"

namespace tensord {

// Tells each in turn; they must outlive it.
class CallObservers final : public CallObserver {
 public:
  explicit CallObservers(std::vector<CallObserver*> observers) : observers_(std::move(observers)) {}

  void CallBegan(const CallRecord& record) override {
    for (CallObserver* observer : observers_) observer->CallBegan(record);
  }
  void BytesSent(const CallRecord& record, uint64_t bytes) override {
    for (CallObserver* observer : observers_) observer->BytesSent(record, bytes);
  }
  void CallEnded(const CallRecord& record, const absl::Status& status) override {
    for (CallObserver* observer : observers_) observer->CallEnded(record, status);
  }

 private:
  const std::vector<CallObserver*> observers_;
};

}  // namespace tensord
