// engine_tests: what runs on the host only. Exits 1 when an expectation fails.
#include "unit.h"

int main() {
  using namespace headzip::test;
  position_index_tests();
  evict_tests();
  kv_cache_tests();
  conversation_tests();
  routing_tests();
  dequantise_tests();
  return report(expectations);
}
