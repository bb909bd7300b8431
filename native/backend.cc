#include "backend.h"

#include "error.h"

namespace headzip {

void Backend::embed(const Weight& table, std::span<const int32_t> ids, float scale, Rows out) {
  for (const int32_t id : ids)
    if (id < 0 || id >= table.rows)
      throw Error("the token id " + std::to_string(id) + " cannot be embedded: the model's vocabulary has " +
                  std::to_string(table.rows) + " entries");
  embed_rows(table, ids, scale, out);
}

}  // namespace headzip
