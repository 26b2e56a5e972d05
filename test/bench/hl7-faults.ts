import { mkdirSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres } from '../../src/database/embedded-postgres.ts';
import { type FaultRow, FaultWorld, faultsOf, faultTable, type Transport } from '../hl7/fault-matrix.ts';
import { RIS_FAULTS } from '../peers/faulty-ris.ts';
import { SENDER_FAULTS } from '../peers/faulty-sender.ts';

const TRANSPORTS: readonly Transport[] = ['plain', 'tls'];
const IN_LANES = 8;

/**
 * Every fault on both sides, plain and over TLS, against the built server. Writes the table to `bench-results/hl7-faults.md`
 * and ends with 1 when a row has anything lost, applied twice or out of order. `--messages 160`.
 */
export async function benchHl7Faults(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { messages: { type: 'string', default: '160' } },
  });
  const messages = Number(values.messages);
  const folder = await mkdtemp(join(tmpdir(), 'prelim-hl7-faults-'));
  await chmod(folder, 0o755);
  const postgres = await startEmbeddedPostgres(folder);
  const rows: FaultRow[] = [];
  const say = (row: FaultRow) => {
    rows.push(row);
    process.stdout.write(`${faultTable([row]).split('\n').at(-1)}\n`);
  };
  const world = await FaultWorld.make(postgres.url.replace('@/', '@localhost/'));
  try {
    for (const transport of TRANSPORTS) {
      await world.useDoor(transport);
      for (const fault of SENDER_FAULTS) say(await world.in(fault, transport, messages, IN_LANES));
      if (transport === 'tls') say(await world.in('tls-refused', transport, messages, IN_LANES));
      say(await world.in('kill-9', transport, messages * 5, IN_LANES));
      for (const fault of [...RIS_FAULTS, 'large'] as const)
        say(await world.out(fault, transport, messages, transport));
      say(await world.out('refused', transport, messages, transport));
      if (transport === 'tls') say(await world.out('tls-refused', transport, messages, transport));
      say(await world.out('kill-9', transport, messages * 2, transport));
    }
  } finally {
    await world.close();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
  const wrong = rows.flatMap(faultsOf);
  mkdirSync('bench-results', { recursive: true });
  const head = `# HL7 v2: faults\n\n${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`;
  writeFileSync(
    'bench-results/hl7-faults.md',
    `${head}\n\n${faultTable(rows)}\n\n${wrong.join('\n') || 'Nothing lost, nothing applied twice, nothing out of order.'}\n`,
  );
  process.stdout.write(`${wrong.join('\n') || 'all good'}\n`);
  if (wrong.length > 0) process.exit(1);
}
