# Flags that decide results stand here and apply to every build; warnings as errors are a preset's.
add_compile_options(
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -Wdouble-promotion -Wcast-qual -Wwrite-strings -Wundef -Wformat=2
  -ffp-contract=off -fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_C_COMPILER_ID MATCHES Clang)
  add_compile_options(-Wmissing-variable-declarations -Wcomma)
endif()
add_compile_definitions(_POSIX_C_SOURCE=200809L _DEFAULT_SOURCE)
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT MR_SANITIZE)
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()
# Assertions guard against mistakes of programmers and stay in what ships.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-Wl,-z,relro,-z,now)
if(MR_SANITIZE)
  add_compile_options(-fsanitize=${MR_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MR_SANITIZE})
endif()
if(MR_FAULTS)
  add_compile_definitions(MR_FAULTS)
endif()
