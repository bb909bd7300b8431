# The addon that the npm package carries: no CUDA, with a C++ runtime of its own, and nothing of a glibc newer than 2.28,
# which is what Node 20 itself asks for. scripts/prebuild.mjs builds it and checks that.
set(PREBUILT_EXPORTS ${CMAKE_CURRENT_SOURCE_DIR}/native/prebuilt/exports.map)
add_library(headzip_prebuilt SHARED EXCLUDE_FROM_ALL native/cuda/absent.cc native/prebuilt/old_glibc.cc
  $<TARGET_OBJECTS:addon> $<TARGET_OBJECTS:cpu_engine> $<TARGET_OBJECTS:kernels>)
set_target_properties(headzip_prebuilt PROPERTIES PREFIX "" SUFFIX ".node" OUTPUT_NAME headzip
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/prebuilt LINK_DEPENDS ${PREBUILT_EXPORTS})
target_compile_options(headzip_prebuilt PRIVATE -O2 -Wall -Wextra)
target_link_options(headzip_prebuilt PRIVATE -static-libstdc++ -static-libgcc -s -Wl,--gc-sections
  -Wl,--version-script=${PREBUILT_EXPORTS})
# Until glibc 2.34 threads and dlopen had libraries of their own; newer ones keep empty ones of that name.
target_link_libraries(headzip_prebuilt PRIVATE -Wl,--no-as-needed -l:libpthread.so.0 -l:libdl.so.2 -Wl,--as-needed)
