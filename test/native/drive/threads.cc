// Jobs on several threads, as Node's own threads run them: what the thread sanitizer watches.
#include <atomic>
#include <thread>

#include "addon/engine_lock.h"
#include "decode/generate.h"
#include "drive.h"
#include "error.h"

namespace headzip::test {

namespace {

struct Answer {
  std::vector<float> pairs;
  std::vector<int32_t> ids;
  bool operator==(const Answer&) const = default;
};

Answer all_of_it(Backend& backend, const Model& model, JobControl& control, TokenFeed& feed) {
  const Text text = text_of(model, 110);
  PrefillResult made = prefill(backend, model, {text, Scored{{chunks_of(model, text), FullSweep{}}, {}}}, control);
  const GenerateParams query{some_ids(7, model.spec.vocab, 41), 12, {}, {}};
  return {std::move(made.pairs), generate(backend, model, *made.cache, {query}, control, {&feed, 1})[0].ids};
}

Answer alone(const Model& model) {
  const auto backend = make_cpu_backend(0);
  JobControl control;
  TokenFeed feed;
  return all_of_it(*backend, model, control, feed);
}

// Says when another is there at the same time.
class Alone {
 public:
  Alone(std::atomic<int>& running, std::atomic<bool>& overlapped) : running_(running) {
    if (running_.fetch_add(1) != 0) overlapped = true;
  }
  ~Alone() { running_.fetch_sub(1); }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  std::atomic<int>& running_;
};

}  // namespace

// Engines of their own share the model, the pool of threads, and nothing else.
void jobs_side_by_side(const TinyModel& tiny) {
  const Answer expected = alone(*tiny.model);
  std::vector<Answer> answers(3);
  std::vector<std::thread> threads;
  for (Answer& answer : answers) threads.emplace_back([&] { answer = alone(*tiny.model); });
  for (std::thread& each : threads) each.join();
  for (const Answer& answer : answers) expect(answer == expected, tiny.name + ": the same answer beside others, to the bit");
}

// One engine: jobs take turns, watched and stopped from other threads.
void jobs_on_one_engine(const TinyModel& tiny) {
  const Answer expected = alone(*tiny.model);
  addon::Runtime runtime{tiny.model, make_cpu_backend(0), {}};
  constexpr size_t kJobs = 4;
  std::vector<Answer> answers(kJobs);
  std::vector<int> aborted(kJobs, 0);
  std::vector<JobControl> controls(kJobs);
  std::vector<TokenFeed> feeds(kJobs);
  std::atomic<int> running{0}, left{kJobs};
  std::atomic<bool> overlapped{false};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kJobs; ++i)
    threads.emplace_back([&, i] {
      try {
        addon::run_job(runtime, controls[i], [&] {
          const Alone here(running, overlapped);
          answers[i] = all_of_it(*runtime.backend, *runtime.model, controls[i], feeds[i]);
        });
      } catch (const Aborted&) {
        aborted[i] = 1;
      }
      left.fetch_sub(1);
    });
  std::vector<std::vector<int32_t>> seen(kJobs);
  double furthest = 0;
  controls[kJobs - 1].aborted = true;  // while it waits, or at once
  while (left.load() > 0)
    for (size_t i = 0; i < kJobs; ++i) {
      furthest = std::max(furthest, controls[i].done.load());
      for (const int32_t id : feeds[i].take()) seen[i].push_back(id);
    }
  for (std::thread& each : threads) each.join();
  for (size_t i = 0; i < kJobs; ++i)
    for (const int32_t id : feeds[i].take()) seen[i].push_back(id);
  expect(!overlapped, tiny.name + ": one job runs at a time");
  expect(aborted[kJobs - 1] == 1 && furthest > 0, tiny.name + ": a job ends when it is aborted, and progress is seen");
  for (size_t i = 0; i + 1 < kJobs; ++i)
    expect(aborted[i] == 0 && answers[i] == expected && seen[i] == expected.ids,
           tiny.name + ": the others' answers are whole, and were seen as they came");

  // The engine goes on after an abort in the midst of a job.
  JobControl control;
  TokenFeed feed;
  std::thread stops([&] {
    while (control.done.load() == 0) std::this_thread::yield();
    control.aborted = true;
  });
  refused<Aborted>([&] {
    addon::run_job(runtime, control, [&] { all_of_it(*runtime.backend, *runtime.model, control, feed); });
  }, "the job was aborted", tiny.name + ": a job that is stopped");
  stops.join();
  JobControl last;
  expect(all_of_it(*runtime.backend, *runtime.model, last, feed) == expected, tiny.name + ": and the next one is whole");
}

}  // namespace headzip::test
