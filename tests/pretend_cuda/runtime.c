/* The CUDA 12 runtime with one device and no GPU: device memory is host memory, everything is done at once.

   Loaded before torch's own libraries, so that torch's calls come here: its allocator, streams, events and properties of
   devices are then its own code, unchanged. A kernel that is launched all the same fails loudly. PRETEND_GIB is the
   device's memory (80): with 0.5 the allocator runs out as on a small GPU. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, OUT_OF_MEMORY = 2, NO_KERNEL_IMAGE = 98, INVALID_DEVICE = 101 };
enum { HEADER = 4096, PATTERNED = 64 << 20 };

static size_t total = 80ull << 30, used = 0;
static int last_error = SUCCESS;

__attribute__((constructor)) static void read_size(void) {
  const char *given = getenv("PRETEND_GIB");
  if (given) total = (size_t)(atof(given) * (1ull << 30));
}

/* --- the device ------------------------------------------------------------------------------------------------- */

int cudaGetDeviceCount(int *count) { *count = 1; return SUCCESS; }
int cudaGetDevice(int *device) { *device = 0; return SUCCESS; }
int cudaSetDevice(int device) { return device == 0 ? SUCCESS : INVALID_DEVICE; }
int cudaDriverGetVersion(int *version) { *version = 12080; return SUCCESS; }
int cudaRuntimeGetVersion(int *version) { *version = 12080; return SUCCESS; }
int cudaDeviceGetPCIBusId(char *id, int size, int device) { snprintf(id, size, "0000:00:00.0"); return SUCCESS; }
int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  return SUCCESS;
}
int cudaDeviceCanAccessPeer(int *can, int device, int peer) { *can = 0; return SUCCESS; }
int cudaDeviceSynchronize(void) { return SUCCESS; }
int cudaGetLastError(void) { int error = last_error; last_error = SUCCESS; return error; }
int cudaPeekAtLastError(void) { return last_error; }

/* struct cudaDeviceProp of CUDA 12 by its offsets: torch reads name, memory, limits and the compute capability. */
static void put(char *properties, int offset, int value) { memcpy(properties + offset, &value, sizeof value); }
int cudaGetDeviceProperties_v2(char *properties, int device) {
  memset(properties, 0, 1032);
  strcpy(properties, "Pretended GPU");
  memcpy(properties + 288, &total, sizeof total);
  put(properties, 296, 49152);                                                   /* shared memory of a block */
  put(properties, 304, 65536); put(properties, 308, 32);                         /* registers, threads of a warp */
  put(properties, 312, 2147483647);
  put(properties, 320, 1024);                                                    /* threads of a block, and by axis */
  put(properties, 324, 1024); put(properties, 328, 1024); put(properties, 332, 64);
  put(properties, 336, 2147483647); put(properties, 340, 65535); put(properties, 344, 65535);
  put(properties, 348, 1500000); put(properties, 352, 65536);
  put(properties, 360, 8); put(properties, 364, 6);                              /* compute capability 8.6 */
  put(properties, 368, 512); put(properties, 376, 32); put(properties, 384, 1); put(properties, 388, 84);
  return SUCCESS;
}
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? 8 : attribute == 76 ? 6 : attribute == 16 ? 84 : attribute == 10 ? 32
         : attribute == 1 ? 1024 : 0;
  return SUCCESS;
}

/* --- memory: the size lies before each block ---------------------------------------------------------------------- */

int cudaMalloc(void **pointer, size_t size) {
  char *block = 0;
  if (__atomic_load_n(&used, __ATOMIC_RELAXED) + size > total || posix_memalign((void **)&block, HEADER, size + HEADER)) {
    *pointer = 0;
    return last_error = OUT_OF_MEMORY;
  }
  memcpy(block, &size, sizeof size);
  __atomic_fetch_add(&used, size, __ATOMIC_RELAXED);
  if (size <= PATTERNED) memset(block + HEADER, 0xFF, size); /* NaN: what was never written must not be used */
  *pointer = block + HEADER;
  return SUCCESS;
}
int cudaFree(void *pointer) {
  if (!pointer) return SUCCESS;
  char *block = (char *)pointer - HEADER;
  size_t size;
  memcpy(&size, block, sizeof size);
  __atomic_fetch_sub(&used, size, __ATOMIC_RELAXED);
  free(block);
  return SUCCESS;
}
int cudaMallocAsync(void **pointer, size_t size, void *stream) { return cudaMalloc(pointer, size); }
int cudaFreeAsync(void *pointer, void *stream) { return cudaFree(pointer); }
int cudaMemGetInfo(size_t *unused, size_t *all) { *all = total; *unused = total - used; return SUCCESS; }
int cudaHostAlloc(void **pointer, size_t size, unsigned flags) {
  return posix_memalign(pointer, HEADER, size ? size : 1) ? OUT_OF_MEMORY : SUCCESS;
}
int cudaFreeHost(void *pointer) { free(pointer); return SUCCESS; }
int cudaHostRegister(void *pointer, size_t size, unsigned flags) { return SUCCESS; }
int cudaHostUnregister(void *pointer) { return SUCCESS; }
int cudaMemcpy(void *to, const void *from, size_t size, int kind) { memmove(to, from, size); return SUCCESS; }
int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) {
  return cudaMemcpy(to, from, size, kind);
}
int cudaMemset(void *to, int value, size_t size) { memset(to, value, size); return SUCCESS; }
int cudaMemsetAsync(void *to, int value, size_t size, void *stream) { return cudaMemset(to, value, size); }
/* struct cudaPointerAttributes: type (2 is the device's), device, the pointer as the device and as the host sees it */
int cudaPointerGetAttributes(void *attributes, const void *pointer) {
  int kind = 2;
  memset(attributes, 0, 32);
  memcpy(attributes, &kind, sizeof kind);
  memcpy((char *)attributes + 8, &pointer, sizeof pointer);
  return SUCCESS;
}

/* --- streams and events: whatever is asked of them has happened ---------------------------------------------------- */

int cudaStreamCreate(void **stream) { *stream = malloc(8); return SUCCESS; }
int cudaStreamCreateWithPriority(void **stream, unsigned flags, int priority) { return cudaStreamCreate(stream); }
int cudaStreamDestroy(void *stream) { return SUCCESS; }
int cudaStreamQuery(void *stream) { return SUCCESS; }
int cudaStreamSynchronize(void *stream) { return SUCCESS; }
int cudaStreamWaitEvent(void *stream, void *event, unsigned flags) { return SUCCESS; }
int cudaStreamGetPriority(void *stream, int *priority) { *priority = 0; return SUCCESS; }
int cudaStreamIsCapturing(void *stream, int *capturing) { *capturing = 0; return SUCCESS; }
int cudaStreamGetCaptureInfo_v2(void *stream, int *capturing, void *id, void *graph, void *nodes, void *count) {
  *capturing = 0;
  return SUCCESS;
}
int cudaThreadExchangeStreamCaptureMode(int *mode) { return SUCCESS; }
int cudaEventCreate(void **event) { *event = calloc(1, sizeof(double)); return SUCCESS; }
int cudaEventCreateWithFlags(void **event, unsigned flags) { return cudaEventCreate(event); }
int cudaEventDestroy(void *event) { free(event); return SUCCESS; }
int cudaEventRecord(void *event, void *stream) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  *(double *)event = now.tv_sec * 1e3 + now.tv_nsec / 1e6;
  return SUCCESS;
}
int cudaEventRecordWithFlags(void *event, void *stream, unsigned flags) { return cudaEventRecord(event, stream); }
int cudaEventQuery(void *event) { return SUCCESS; }
int cudaEventSynchronize(void *event) { return SUCCESS; }
int cudaEventElapsedTime(float *milliseconds, void *from, void *to) {
  *milliseconds = *(double *)to - *(double *)from;
  return SUCCESS;
}

/* --- what cannot be pretended -------------------------------------------------------------------------------------- */

static int refused(void) {
  fprintf(stderr, "pretend_cuda: a kernel was launched, and there is no GPU to run it\n");
  return last_error = NO_KERNEL_IMAGE;
}
int cudaLaunchKernel(const void *kernel, unsigned long long grid, unsigned grid_z, unsigned long long block,
                     unsigned block_z, void **arguments, size_t shared, void *stream) { return refused(); }
int cudaLaunchKernelExC(const void *config, const void *kernel, void **arguments) { return refused(); }
