import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second, whatever the kernel's own tick. */
const TICK_MS = 10;

/** What a family of processes has used until now. */
export interface Cost {
  /** Milliseconds on all cores, of the process, its children and those that have ended. */
  readonly cpuMs: number;
  /** Resident memory of the first process, in MB. */
  readonly memoryMb: number;
}

/** CPU time and memory of each named process and of what it started, unless that is named itself (the embedded PostgreSQL); read from /proc. */
export function costOf<Name extends string>(roots: Readonly<Record<Name, number>>): Record<Name, Cost> {
  const all = processes();
  const named = Object.entries(roots) as [Name, number][];
  const others = new Set(named.map(([, root]) => root));
  return Object.fromEntries(
    named.map(([name, root]) => [
      name,
      {
        cpuMs:
          TICK_MS *
          [...all].reduce((sum, [pid, { ticks }]) => sum + (within(pid, root, others, all) ? ticks : 0), 0),
        memoryMb: memoryOf(root),
      },
    ]),
  ) as Record<Name, Cost>;
}

interface Process {
  readonly parent: number;
  readonly ticks: number;
}

function processes(): Map<number, Process> {
  const all = new Map<number, Process>();
  for (const name of readdirSync('/proc')) {
    const one = /^\d+$/.test(name) ? statOf(name) : null;
    if (one) all.set(Number(name), one);
  }
  return all;
}

/** proc_pid_stat(5). After the name in brackets: field 1 is the parent, 11 to 14 are the times, own and of children that were waited for. */
function statOf(pid: string): Process | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    return { parent: fields[1] ?? 0, ticks: fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0) };
  } catch {
    return null; // it has just ended
  }
}

function within(
  pid: number,
  root: number,
  others: ReadonlySet<number>,
  all: ReadonlyMap<number, Process>,
): boolean {
  for (let one: number | undefined = pid; one; one = all.get(one)?.parent) {
    if (one === root) return true;
    if (others.has(one)) return false;
  }
  return false;
}

function memoryOf(pid: number): number {
  try {
    return Math.round(
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024,
    );
  } catch {
    return 0;
  }
}
