import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { Accounts } from '../src/access/accounts.ts';
import { AuditTrail } from '../src/access/audit-trail.ts';
import { readSettings, type Settings } from '../src/config/settings.ts';
import type { Database } from '../src/database/database.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { withDatabase } from './with-database.ts';

const USAGE = `npm run -s account -- <command>
  list                                         all local accounts
  add <name> --roles <role,role> [--fhir-user Practitioner/1]   the password is the first line of standard input
  password <name>                              a new password, from standard input; opens a locked account
  lock <name>                                  nobody signs in with it; what it was signed in to ends
`;

interface Asked {
  readonly name: string;
  readonly roles: readonly string[];
  readonly fhirUser: string | undefined;
}

const COMMANDS: Readonly<Record<string, (accounts: Accounts, asked: Asked) => Promise<void>>> = {
  list,
  add: async (accounts, { name, roles, fhirUser }) => {
    const password = await readPassword();
    await accounts.add(name, { password, roles, ...(fhirUser === undefined ? {} : { fhirUser }) });
  },
  password: async (accounts, { name }) => accounts.password(name, await readPassword()),
  lock: (accounts, { name }) => accounts.lock(name),
};

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { roles: { type: 'string', default: '' }, 'fhir-user': { type: 'string' } },
  });
  const [word = '', name = '', ...rest] = positionals;
  const command = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (!command || rest.length > 0 || (name === '') !== (word === 'list')) {
    // What stands too much on the line may be a password: it is not repeated.
    process.stderr.write(USAGE);
    process.exit(2);
  }
  const roles = values.roles.split(',').filter((role) => role !== '');
  const settings = readSettings();
  await withDatabase(settings, ({ database }) =>
    audited(database, settings, word !== 'list', () =>
      command(new Accounts(database), { name, roles, fhirUser: values['fhir-user'] }),
    ),
  );
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function list(accounts: Accounts): Promise<void> {
  for (const { name, roles, fhirUser, active, locked } of await accounts.all()) {
    const state = active ? (locked ? 'too many tries' : 'open') : 'locked';
    process.stdout.write(`${[name, state, roles.join(','), fhirUser ?? '-'].join('\t')}\n`);
  }
}

/** Never an argument: those stand in the list of processes and in the shell's history. */
async function readPassword(): Promise<string> {
  if (process.stdin.isTTY)
    process.stderr.write('Password (shown as you type; better pipe it in), then Ctrl-D: ');
  const [line = ''] = (await text(process.stdin)).split(/\r?\n/);
  return line;
}

/** A chain of its own for what is changed here. */
async function audited(
  database: Database,
  { AUDIT }: Settings,
  changes: boolean,
  work: () => Promise<void>,
): Promise<void> {
  if (!changes || AUDIT === 'off') return work();
  const trail = await AuditTrail.start(database, systemClock, pino({ level: 'silent' }));
  database.audit = trail;
  try {
    await work();
  } finally {
    await trail.sayStop();
    await trail.release();
  }
}
