/** What a program that this server starts needs of its environment: where libraries and the GPU are, and no setting or password. */
const KEPT = [
  'PATH',
  'LD_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
  'SystemRoot',
  'CUDA_VISIBLE_DEVICES',
  'CUDA_PATH',
  'NVIDIA_VISIBLE_DEVICES',
] as const;

/** Telemetry is off there too (see `forbid-telemetry.ts`). */
export function childEnvironment(): Record<string, string> {
  const kept = KEPT.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), ORT_DISABLE_TELEMETRY: '1' };
}
