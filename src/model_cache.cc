#include "src/model_cache.h"

namespace tensord {

std::shared_ptr<const Model> ModelCache::Find(uint64_t key) {
  std::list<Slot> evicted;  // Destroyed after the lock.
  MutexLock lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return nullptr;
  std::shared_ptr<const Model> model = it->second.model.lock();
  if (model == nullptr) {
    entries_.erase(it);
  } else {
    Touch(it->second, key, model, evicted);
  }
  return model;
}

std::shared_ptr<const Model> ModelCache::Add(uint64_t key, std::shared_ptr<const Model> model) {
  std::list<Slot> evicted;
  MutexLock lock(mutex_);
  const auto [it, is_new] = entries_.try_emplace(key, Entry{{}, kept_.end()});
  if (std::shared_ptr<const Model> known = it->second.model.lock()) {
    model = std::move(known);
  } else {
    it->second.model = model;
  }
  Touch(it->second, key, model, evicted);
  return model;
}

std::vector<std::shared_ptr<const Model>> ModelCache::Kept() const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<const Model>> models;
  models.reserve(kept_.size());
  for (auto slot = kept_.rbegin(); slot != kept_.rend(); ++slot) models.push_back(slot->model);
  return models;
}

bool ModelCache::HasAll(uint64_t num_keys) const {
  MutexLock lock(mutex_);
  if (entries_.size() < num_keys) return false;
  for (uint64_t key = 0; key < num_keys; ++key) {
    const auto it = entries_.find(key);
    if (it == entries_.end() || it->second.model.expired()) return false;
  }
  return true;
}

bool ModelCache::IsFull() const {
  MutexLock lock(mutex_);
  return used_bytes_ >= budget_bytes_;
}

// Moves the model to the front and pushes the last ones out, but never this one.
void ModelCache::Touch(Entry& entry, uint64_t key, const std::shared_ptr<const Model>& model,
                       std::list<Slot>& evicted) {
  if (entry.kept != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, entry.kept);
    return;
  }
  kept_.push_front({key, model->memory_bytes(), model});
  entry.kept = kept_.begin();
  used_bytes_ += kept_.front().bytes;
  while (used_bytes_ > budget_bytes_ && kept_.size() > 1) {
    used_bytes_ -= kept_.back().bytes;
    entries_.find(kept_.back().key)->second.kept = kept_.end();
    evicted.splice(evicted.begin(), kept_, std::prev(kept_.end()));
  }
}

}  // namespace tensord
