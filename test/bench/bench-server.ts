import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { AccessTokens, LOCAL_TOKEN_LIFETIME_S } from '../../src/access/access-tokens.ts';
import { LOCAL_CLIENT } from '../../src/access/clients.ts';
import { parseScopes } from '../../src/access/scope.ts';
import { readSettings } from '../../src/config/settings.ts';
import { Database } from '../../src/database/database.ts';
import { FlowRunner, type StepEnded } from '../../src/flow/flow-runner.ts';
import { makeLogger } from '../../src/kernel/log.ts';
import { startServer } from '../../src/start-server.ts';
import type { FromServer, ToServer } from './messages.ts';

/** The server as it is, in a process of its own and from the same few files (`vite.server.config.ts`), telling its parent when steps end. */
const settings = readSettings();
const server = await startServer(settings, makeLogger(settings.LOG_LEVEL));
// A parent that is gone needs nothing any more; what is still under way ends in order.
const send = (message: FromServer) => process.connected && process.send?.(message);

const tell = (ended: StepEnded) =>
  send({
    kind: 'step',
    step: ended.step,
    end: ended.end,
    why: ended.why,
    ms: ended.ms,
    at: performance.timeOrigin + performance.now(),
    handoff: ended.handoff,
    next: ended.next,
  });
// Where thousands end in a second, telling of each would be a part of what is measured.
if (process.env['BENCH_STEPS'] !== 'untold') server.app.get(FlowRunner).watch(tell);
const token = await server.app
  .get(AccessTokens)
  .issue(LOCAL_CLIENT, parseScopes('system/*.cruds'), LOCAL_TOKEN_LIFETIME_S);
send({
  kind: 'ready',
  url: server.url ?? '',
  token,
  readyMs: performance.now(),
  database: server.app.get(Database).connectionOptions() as object,
});
const profiler = new Session();
profiler.connect();
process.on('message', (asked: ToServer) => {
  if ('heap' in asked) {
    profiler.post('HeapProfiler.collectGarbage', () =>
      send({ kind: 'heap', used: process.memoryUsage().heapUsed }),
    );
    return;
  }
  const { profile } = asked;
  if (profile === 'start') {
    profiler.post('Profiler.enable');
    profiler.post('Profiler.start');
  } else {
    profiler.post('Profiler.stop', (_, taken) => writeFileSync(profile.file, JSON.stringify(taken.profile)));
  }
});
process.on('SIGTERM', () => void server.stop().then(() => process.exit(0)));
process.on('disconnect', () => void server.stop().then(() => process.exit(0)));
