import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type MadeRf2, makeRf2 } from '../../src/terminology/fixtures/make-rf2.ts';
import { freePort } from '../peers/free-port.ts';
import { benchFolder } from './bench-folder.ts';
import { percentile } from './percentile.ts';
import { BenchServer } from './processes.ts';
import { compareAlternatives } from './terminology-alternatives.ts';

/**
 * Imports a made SNOMED CT release and asks the server, one question after the other over HTTP. `--concepts 500000`, `--questions 300`,
 * `--alternatives` (the other ways of keeping words and hierarchy, in the same database, by SQL alone).
 */
export async function benchTerminology(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      concepts: { type: 'string', default: '500000' },
      questions: { type: 'string', default: '300' },
      alternatives: { type: 'boolean', default: false },
    },
  });
  const [concepts, questions] = [Number(values.concepts), Number(values.questions)];
  const folder = await benchFolder();
  const env = {
    PRELIM_DATA: join(folder, 'data'),
    PORT: String(await freePort()),
    HL7_PORT: String(await freePort()),
  };
  const lines: string[] = [];
  const say = (line: string) => {
    lines.push(line);
    process.stdout.write(`${line}\n`);
  };
  try {
    const made = await makeRf2(join(folder, 'rf2'), concepts);
    say('| | |\n|---|---|');
    for (const name of ['import', 'import again'] as const) {
      const { seconds, peakMb } = await importBy(made.folder, env);
      say(
        `| ${name}: ${concepts} concepts | ${seconds.toFixed(1)} s, ${Math.round(concepts / seconds)}/s, ${peakMb} MB |`,
      );
    }
    const server = await BenchServer.start(env);
    try {
      const client = new pg.Client(server.ready.database);
      await client.connect();
      say(`| tables with their indexes | ${await sizeOf(client)} |`);
      say('\n| question | p50 ms | p99 ms | answers |\n|---|---|---|---|');
      for (const [name, path] of questionsFor(made, concepts)) say(await ask(server, name, path, questions));
      say(`\nserver: ${server.memory().now} MB, at most ${server.memory().peak} MB`);
      if (values.alternatives) for (const line of await compareAlternatives(client)) say(line);
      await client.end();
    } finally {
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  mkdirSync('bench-results', { recursive: true });
  const head = `# Terminology\n\n${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`;
  writeFileSync('bench-results/terminology.md', `${head}\n\n${lines.join('\n')}\n`);
}

async function importBy(
  path: string,
  env: Record<string, string>,
): Promise<{ seconds: number; peakMb: number }> {
  const started = performance.now();
  const child = spawn(process.execPath, [resolve('dist/scripts/terminology.js'), 'import', path], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  let peakMb = 0;
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peakMb = Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024) || peakMb;
    } catch {
      // It has just ended.
    }
  }, 50);
  const [code] = (await once(child, 'exit')) as [number];
  clearInterval(watch);
  if (code !== 0) throw new Error(`the import ended with ${code}`);
  return { seconds: (performance.now() - started) / 1_000, peakMb };
}

async function sizeOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query(`
    SELECT relname, pg_total_relation_size(oid) / 1048576 AS mb FROM pg_class
    WHERE relkind = 'r' AND relname ~ '^terminology_(concept|property|designation|list)_[0-9]+$' ORDER BY relname`);
  return rows
    .map(({ relname, mb }) => `${String(relname).replace(/^terminology_|_\d+$/g, '')} ${mb} MB`)
    .join(', ');
}

const SCT = 'http://snomed.info/sct';

/** A path by the number of the question, so that no two in a row ask the same. */
type Question = readonly [name: string, path: (n: number) => string];

function questionsFor(made: MadeRf2, concepts: number): Question[] {
  const any = (n: number) => Math.imul(n + 1, 7_919) % concepts;
  const implicit = (value: string) => encodeURIComponent(`${SCT}?fhir_vs${value}`);
  const search =
    (texts: readonly string[], value = '') =>
    (n: number) =>
      `ValueSet/$expand?url=${implicit(value)}&count=20&filter=${encodeURIComponent(texts[n % texts.length] ?? '')}`;
  const system = `system=${encodeURIComponent(SCT)}`;
  return [
    ['search, one word', search(['nodule', 'fracture', 'lung', 'acute'])],
    ['search, beginnings of two words', search(['lun nod', 'fra han', 'ste art', 'mal neo'])],
    ['search, three words', search(['acute lung inju', 'chronic severe burn', 'left knee effu'])],
    ['search, one letter', search(['a', 'm', 's', 'p'])],
    ['search, three single letters', search(['a l n', 'm s p', 'b c d'])],
    ['search, one concept', (n) => search([made.term(any(n))])(0)],
    ['search within a part of the hierarchy', search(['nod', 'fra', 'acu'], `=isa/${made.code(2)}`)],
    ['$lookup', (n) => `CodeSystem/$lookup?${system}&code=${made.code(any(n))}`],
    [
      '$subsumes',
      (n) => `CodeSystem/$subsumes?${system}&codeA=${made.code(any(n) % 500)}&codeB=${made.code(any(n))}`,
    ],
    [
      '$validate-code, code system',
      (n) => `CodeSystem/$validate-code?url=${encodeURIComponent(SCT)}&code=${made.code(any(n))}`,
    ],
    [
      '$validate-code, is-a value set',
      (n) =>
        `ValueSet/$validate-code?url=${implicit(`=isa/${made.code(5)}`)}&${system}&code=${made.code(any(n))}`,
    ],
    [
      '$expand is-a, small, whole',
      (n) => `ValueSet/$expand?url=${implicit(`=isa/${made.code(5_000 + (n % 900))}`)}`,
    ],
    [
      '$expand is-a of the root, a page',
      (n) => `ValueSet/$expand?url=${implicit(`=isa/${made.root}`)}&count=100&offset=${n * 900}`,
    ],
  ];
}

async function ask(
  server: BenchServer,
  name: string,
  path: (n: number) => string,
  questions: number,
): Promise<string> {
  const times: number[] = [];
  let answers = 0;
  for (let n = -Math.ceil(questions / 5); n < questions; n++) {
    const started = performance.now();
    const answer = await fetch(`${server.ready.url}/fhir/${path(Math.abs(n))}`, { headers: server.auth });
    const body = (await answer.json()) as { expansion?: { total?: number } };
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${JSON.stringify(body).slice(0, 400)}`);
    if (n < 0) continue;
    times.push(performance.now() - started);
    answers += body.expansion?.total ?? 1;
  }
  const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)];
  return `| ${name} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${Math.round(answers / questions)} |`;
}
