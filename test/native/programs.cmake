# Programs that test the engine: cmake --build build --target test_programs. They take its objects as they are compiled
# for the addon.
function(test_program name)
  add_executable(${name} EXCLUDE_FROM_ALL ${ARGN})
  target_include_directories(${name} PRIVATE native test/native)
  target_compile_options(${name} PRIVATE ${engine_level} -Wall -Wextra)
  target_link_libraries(${name} PRIVATE engine)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
endfunction()

file(GLOB parity_sources CONFIGURE_DEPENDS test/native/parity/*.cc)
# What is expected is worked out by plain loops on one thread: a sanitizer would make most of the time there, for nothing.
if(HEADZIP_SANITIZE)
  set_source_files_properties(test/native/parity/attention_reference.cc PROPERTIES COMPILE_OPTIONS "-fno-sanitize=all;-O2")
endif()
test_program(backend_parity ${parity_sources} test/native/stored.cc)
file(GLOB unit_sources CONFIGURE_DEPENDS test/native/unit/*.cc)
test_program(engine_tests ${unit_sources} test/native/stored.cc)
# Two that programs.test.ts compiles under sanitizers by themselves; here for all sanitizers.
foreach(name sampler_test bus_guard_test)
  test_program(${name} test/native/${name}.cc)
endforeach()
file(GLOB drive_sources CONFIGURE_DEPENDS test/native/drive/*.cc)
test_program(engine_drive ${drive_sources} test/native/stored.cc native/addon/engine_lock.cc)
add_custom_target(test_programs DEPENDS backend_parity engine_tests sampler_test bus_guard_test engine_drive)
