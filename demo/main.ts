import { mkdir, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { AccessTokens, LOCAL_TOKEN_LIFETIME_S } from '../src/access/access-tokens.ts';
import { LOCAL_CLIENT } from '../src/access/clients.ts';
import { parseScopes } from '../src/access/scope.ts';
import { readSettings, type Settings } from '../src/config/settings.ts';
import { type DicomwebConnection, dicomwebConnection } from '../src/dicomweb/dicomweb-connection.ts';
import { ModelRegister } from '../src/governance/model-register.ts';
import { makeLogger } from '../src/kernel/log.ts';
import { type RunningServer, startServer } from '../src/start-server.ts';
import { type RisPeer, startRis } from '../test/peers/ris.ts';
import { phantomStudies, studiesIn } from './demo-study.ts';
import { type DemoResult, runStudy } from './run-study.ts';
import { summarise, toJson } from './summary.ts';
import { bold, dim, red, say, yellow } from './terminal.ts';
import { Timeline } from './timeline.ts';

const OPTIONS = {
  dicom: { type: 'string' },
  json: { type: 'string' },
  port: { type: 'string' },
  exit: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const USAGE = `npm run demo -- [--dicom <folder>] [--json <file>] [--port <n>] [--exit]
  --dicom <folder>  your own DICOM files in place of the phantoms
  --json <file>     write the timeline, report, observations, ORU and ACK as JSON
  --port <n>        HTTP port (8080)
  --exit            end when done; without it the server stays up for looking around`;

try {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) say(USAGE);
  else await demo(values);
} catch (error) {
  process.stderr.write(
    `${red('The demo did not run.')} ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
}

interface Options {
  readonly dicom?: string;
  readonly json?: string;
  readonly port?: string;
  readonly exit?: boolean;
}

async function demo(options: Options): Promise<void> {
  say(
    `\n${bold('Prelim')}  ${dim('an order, a study, a model, a coded preliminary result: in FHIR, in the RIS, on the worklist')}\n`,
  );
  const studies = options.dicom
    ? await studiesIn(resolve(options.dicom))
    : { studies: phantomStudies(runId()), remarks: [] };
  if (studies.studies.length === 0) throw new Error(`There is no DICOM study in ${options.dicom}.`);
  for (const { path, remark } of studies.remarks) say(`           ${yellow(basename(path))} ${remark}`);

  const timeline = new Timeline();
  const ris = await startRis();
  const settings = demoSettings(options, ris);
  const server = await start(settings, timeline);
  const token = await server.app
    .get(AccessTokens)
    .issue(LOCAL_CLIENT, parseScopes('system/*.cruds'), LOCAL_TOKEN_LIFETIME_S);

  const results: DemoResult[] = [];
  const pacs = pacsOf(settings, server, token);
  for (const study of studies.studies)
    results.push(await runStudy({ server, ris, token, timeline, pacs }, study));

  summarise(results, server.url ?? '', token, pacs.root.href);
  if (options.json) {
    await writeFile(options.json, `${JSON.stringify(toJson(timeline, results), null, 2)}\n`);
    say(`${dim('written')} ${options.json}`);
  }
  if (options.exit) await stop(server, ris);
  else {
    say(dim('The server stays up. Ctrl-C ends it.\n'));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop(server, ris));
  }
}

/** The PACS of the settings, where there is one: then the study is stored there, and the results come back to it. */
function pacsOf(settings: Settings, server: RunningServer, token: string): DicomwebConnection {
  if (!settings.DICOMWEB_URL) return dicomwebConnection(new URL(`${server.url}/dicomweb`), { token });
  const { DICOMWEB_TOKEN, DICOMWEB_USER: user, DICOMWEB_PASSWORD: password } = settings;
  return dicomwebConnection(settings.DICOMWEB_URL, { token: DICOMWEB_TOKEN, user, password });
}

async function start(settings: Settings, timeline: Timeline): Promise<RunningServer> {
  const before = performance.now();
  await mkdir(settings.PRELIM_DATA, { recursive: true });
  const server = await startServer(settings, makeLogger(settings.LOG_LEVEL));
  timeline.add('●', 'server ready', server.url ?? '', performance.now() - before);
  for (const refusal of server.app.get(ModelRegister).refusals()) {
    say(
      `           ${yellow('model refused')} ${refusal.folder}: ${refusal.faults.map((fault) => fault.text).join('; ')}`,
    );
  }
  return server;
}

/** The server's own settings, with small times, our RIS, and a data folder of its own unless one is named. */
function demoSettings(options: Options, ris: RisPeer): Settings {
  const env = process.env;
  return readSettings({
    ...env,
    PRELIM_DATA: env['PRELIM_DATA'] ?? './data/demo',
    PORT: options.port ?? env['PORT'] ?? '8080',
    HL7_PORT: env['HL7_PORT'] ?? '0',
    RIS_URL: ris.url.href,
    PACS_OBJECTS: env['PACS_OBJECTS'] ?? 'sr,seg,sc',
    STUDY_LOOK_INTERVAL_MS: env['STUDY_LOOK_INTERVAL_MS'] ?? '200',
    STUDY_QUIET_MS: env['STUDY_QUIET_MS'] ?? '1000',
    LOG_LEVEL: env['LOG_LEVEL'] ?? 'warn',
  });
}

async function stop(server: RunningServer, ris: RisPeer): Promise<void> {
  await server.stop();
  await ris.close();
  process.exit(0);
}

/** Ten characters that differ from run to run: accession numbers end at sixteen. */
function runId(): string {
  return `D${Date.now().toString(36).toUpperCase()}`;
}
