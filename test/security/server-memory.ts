import { readFileSync, writeFileSync } from 'node:fs';

/** Resident memory of a process in bytes: now, and the highest since `forgetPeak`. Linux only, as the tests' CI is. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN) * 1_024;
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** From here on the peak is counted anew (proc(5), clear_refs). */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** How far the peak went above what was there before, in megabytes. */
export async function peakGrowthMb(pid: number, work: () => Promise<unknown>): Promise<number> {
  forgetPeak(pid);
  const before = memoryOf(pid).now;
  await work();
  return (memoryOf(pid).peak - before) / 1_000_000;
}
