// engine_drive: scoring, generation, eviction, save and restore on tiny models, and jobs on several threads. Exits 1 when an
// expectation fails, and as the sanitizer says when it has something to say.
#include "drive.h"

int main() {
  using namespace headzip::test;
  for (const auto make : {hybrid_model, moe_model}) {
    const auto tiny = make();
    const auto backend = headzip::make_cpu_backend(0);
    for (const auto jobs : {scoring, generation, eviction, save_and_restore}) jobs(*backend, *tiny);
    jobs_side_by_side(*tiny);
    jobs_on_one_engine(*tiny);
  }
  return report(expectations);
}
