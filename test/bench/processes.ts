import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FloorJob, FloorSetup, FromServer, ToServer } from './messages.ts';

type Ready = Extract<FromServer, { kind: 'ready' }>;
type StepMessage = Extract<FromServer, { kind: 'step' }>;

/** The server in a process of its own. */
export class BenchServer {
  private constructor(
    readonly child: ChildProcess,
    readonly ready: Ready,
    /** Every step that has ended, also before the server was ready: work that waited begins at once. */
    readonly steps: readonly StepMessage[],
    readonly startedMs: number,
  ) {}

  /** `startedMs`: from the start of the process to the first 200 of its readiness check. */
  static async start(env: Record<string, string>): Promise<BenchServer> {
    const before = performance.now();
    const child = fork(join(import.meta.dirname, '../../server/bench-server.js'), {
      // As `npm start` does: few arenas of malloc, and room for short-lived objects, so that a study is over before they are looked through.
      env: { ...process.env, MALLOC_ARENA_MAX: '2', ...env },
      execArgv: ['--min-semi-space-size=16', '--max-semi-space-size=16'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const steps: StepMessage[] = [];
    const ready = await new Promise<Ready>((resolve, reject) => {
      child.on('message', (message: FromServer) => {
        if (message.kind === 'step') steps.push(message);
        if (message.kind === 'ready') resolve(message);
      });
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    });
    while (!(await fetch(`${ready.url}/health/ready`)).ok);
    return new BenchServer(child, ready, steps, performance.now() - before);
  }

  get auth(): Record<string, string> {
    return { authorization: `Bearer ${this.ready.token}` };
  }

  /** Resident memory now and at its highest, in MB. */
  memory(): { now: number; peak: number } {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    const kb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
    return { now: Math.round(kb('VmRSS') / 1_024), peak: Math.round(kb('VmHWM') / 1_024) };
  }

  /** What the server's heap holds after everything unused was given back, in MB. */
  heapInUse(): Promise<number> {
    return new Promise((resolve, reject) => {
      const heard = (message: FromServer) => {
        if (message.kind !== 'heap') return;
        this.child.off('message', heard).off('exit', gone);
        resolve(message.used / 2 ** 20);
      };
      const gone = () => reject(new Error('the server ended'));
      this.child.on('message', heard).once('exit', gone);
      this.send({ heap: 'collected' });
    });
  }

  send(message: ToServer): void {
    this.child.send(message);
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }
}

/** The floor in a process of its own, one job at a time. */
export class Floor {
  private constructor(private readonly child: ChildProcess) {}

  static async start(setup: FloorSetup): Promise<Floor> {
    const floor = new Floor(
      fork(join(import.meta.dirname, 'floor.js'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
    await floor.ask({ setup });
    return floor;
  }

  /** Milliseconds of one job. */
  run(job: FloorJob): Promise<number> {
    return this.ask({ job });
  }

  stop(): void {
    this.child.disconnect();
  }

  private async ask(message: object): Promise<number> {
    this.child.send(message);
    const [answer] = (await once(this.child, 'message')) as [{ ms?: number; error?: string }];
    if (answer.error) throw new Error(answer.error);
    return answer.ms ?? 0;
  }
}
