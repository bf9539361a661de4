# The CUDA backend; included when nvcc is found. Programs start without a driver: the runtime is static and finds the
# driver when it is first called, and cuBLASLt is opened by the first product (cublas.cpp says why).
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90 CACHE STRING "Compute capabilities the kernels are built for")
endif()
if(DS_CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${DS_CCACHE})
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
endif()
find_package(CUDAToolkit REQUIRED)

file(GLOB cuda_sources CONFIGURE_DEPENDS cuda/*.cu cuda/*.cpp)
target_sources(ds_kernels PRIVATE ${cuda_sources})
set_target_properties(ds_kernels PROPERTIES CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}")
target_link_libraries(ds_kernels PUBLIC CUDA::cudart_static)
set_source_files_properties(cuda/cublas.cpp PROPERTIES COMPILE_DEFINITIONS
  "DS_CUDA_LIBRARIES=\"${CUDAToolkit_LIBRARY_DIR}\"")
# No contraction: kernels/scalar.h writes its fused operations out, so the bits are the CPU's.
target_compile_options(ds_kernels PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:-fmad=false;--expt-relaxed-constexpr;-Xcompiler=-Wall;-Werror=all-warnings;-diag-suppress=186>")
