import 'reflect-metadata';
import { pino } from 'pino';
import { openDataSource } from '../../src/database/data-source.ts';
import { Database } from '../../src/database/database.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { Runner } from '../../src/queue/runner.ts';

// A process that claims a job and never ends it; its test kills it.
const dataSource = await openDataSource(process.argv[2] ?? '', 4);
const database = new Database(dataSource);
const outbox = new Outbox();
const handler = {
  queue: 'doomed',
  concurrency: 1,
  attemptsMax: 3,
  run: () => {
    process.stdout.write('running\n');
    return new Promise<never>(() => undefined);
  },
};
const runner = new Runner(database, outbox, [handler], pino({ level: 'silent' }));
await runner.start();
await database.transaction((tx) => outbox.add(tx, [{ queue: 'doomed', payload: {} }]));
