// Tests of what runs on the host only, by file.
#pragma once
#include "../check.h"

namespace headzip::test {

void position_index_tests();
void evict_tests();
void kv_cache_tests();
void conversation_tests();
void routing_tests();
void dequantise_tests();

}  // namespace headzip::test
