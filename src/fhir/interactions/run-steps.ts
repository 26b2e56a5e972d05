import type { Resource } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, demandAccess } from '../access-context.ts';
import type { FhirAnswer } from '../fhir-request.ts';
import type { KnownProfiles } from '../profiles/known-profiles.ts';
import type { ResourceWrite } from '../resource-store.ts';
import type { StoredResource } from '../stored-resource.ts';
import { answerWrite, versionHeaders } from './answer-resource.ts';
import { CONDITIONAL_DELETE_MAX } from './conditional-delete.ts';
import { resolveConditional } from './conditional-references.ts';
import { conditionalWrite } from './conditional-update.ts';
import { deleteWrite } from './delete.ts';
import { ifMatch } from './if-match.ts';
import type { FhirServer } from './interaction.ts';
import { criteriaOf, matchOne, matchSome, refuseCount } from './match-existing.ts';
import { patchedWrite } from './patch.ts';
import { linksOf, replaceReferences } from './replace-references.ts';
import { resolvedLinks } from './resolved-links.ts';
import type { Step } from './transaction-step.ts';
import { updateWrite } from './update.ts';

export interface Running {
  readonly tx: Transaction;
  readonly server: FhirServer;
  readonly access: AccessContext;
  /** The profiles and value sets that the transaction brings; null: none. */
  readonly brought: KnownProfiles | null;
  /** Does the work of one entry; a failure says which. */
  naming<T>(at: number, work: () => T | Promise<T>): Promise<T>;
}

/** What one entry comes to: its writes (none for a read or a conditional create that found something) and what it found. */
interface Decided {
  readonly step: Step;
  readonly writes: readonly ResourceWrite[];
  readonly existing: StoredResource | null;
}

/**
 * Runs the entries in the order of R4 http.html#trules. Where no entry has criteria everything is one write of three statements at most. Where some have, deletions are
 * written before criteria are asked, all other criteria before anything else is written, and resources with conditional references last, so that these can
 * find what the same transaction writes. Reads see all of it.
 */
export async function runSteps(steps: readonly Step[], run: Running): Promise<FhirAnswer[]> {
  const stored = new Map<ResourceWrite, StoredResource>();
  const write = async (writes: readonly ResourceWrite[]): Promise<void> => {
    if (writes.length === 0) return;
    const versions = await run.server.store.write(run.tx, writes, run.access);
    for (const [at, one] of writes.entries()) stored.set(one, versions[at] as StoredResource);
  };
  const deletes = await decide(
    steps.filter(({ kind }) => kind === 'delete'),
    run,
  );
  const rest = steps.filter(({ kind }) => kind !== 'delete' && kind !== 'read');
  const first = deletes.flatMap((one) => one.writes);
  const isEarly = first.length > 0 && rest.some(({ criteria, links }) => criteria !== null || links.size > 0);
  if (isEarly) await write(first);
  const others = await decide(rest, run);
  const decided = [...deletes, ...others];
  checkIdentities(decided);
  const resolved = withLinks(others);
  await write([...(isEarly ? [] : first), ...resolved.plain.flatMap((one) => one.writes)]);
  const late = await withConditionalLinks(resolved.conditional, run);
  await write(late.flatMap((one) => one.writes));
  await checkCriteriaAgain(decided, run);
  const byStep = new Map([...deletes, ...resolved.plain, ...late].map((one) => [one.step, one]));
  const answers: FhirAnswer[] = [];
  for (const step of steps) answers.push(await answerOf(step, byStep.get(step), stored, run));
  return answers;
}

async function decide(steps: readonly Step[], run: Running): Promise<Decided[]> {
  checkCreatedOnce(steps);
  const all: Decided[] = [];
  for (const step of steps) all.push(await run.naming(step.at, () => decideOne(step, run)));
  return all;
}

async function decideOne(step: Step, run: Running): Promise<Decided> {
  const { kind, type, id, criteria, request } = step;
  const { tx, access, server, brought } = run;
  const { store } = server;
  demandAccess(access, type, kind === 'patch' ? 'update' : (kind as 'create' | 'update' | 'delete'));
  const made = (...writes: ResourceWrite[]): Decided => ({ step, writes, existing: null });
  if (kind === 'delete') {
    if (id !== null) return made(deleteWrite(type, id, ifMatch(request)));
    refuseCount(criteria ?? '');
    const asked = { type, criteria: criteria ?? '', access, most: CONDITIONAL_DELETE_MAX };
    const matches = await matchSome(store, tx, asked);
    return made(...matches.map((match) => deleteWrite(type, match.id, ifMatch(request))));
  }
  if (kind === 'patch') {
    const target = id ?? (await matchOne(store, tx, type, criteria ?? '', access))?.id;
    if (target === undefined) throw new Failure('fhir.not-found', 'Nothing matches the criteria.');
    const change = step.change as NonNullable<Step['change']>;
    return made(await patchedWrite({ type, id: target, change, request, brought }, tx, server));
  }
  const resource = step.resource as Resource & { id: string };
  if (kind === 'create') {
    const existing = criteria === null ? null : await matchOne(store, tx, type, criteria, access);
    return existing ? { step, writes: [], existing } : made({ kind: 'create', resource });
  }
  if (id === null) return made(await conditionalWrite(resource, request, tx, store));
  return made(updateWrite(resource, request));
}

/** Two conditional creates with the same criteria would make what the criteria are to prevent. */
function checkCreatedOnce(steps: readonly Step[]): void {
  const seen = new Set<string>();
  for (const { kind, type, criteria, at } of steps) {
    if (kind !== 'create' || criteria === null) continue;
    const words = `${type}?${criteriaOf(criteria)}`;
    if (seen.has(words)) throw duplicate(at, 'an entry before this has the same ifNoneExist');
    seen.add(words);
  }
}

/** R4 http.html#trules: the same resource changed by two entries, also where criteria found it, fails the transaction. */
function checkIdentities(decided: readonly Decided[]): void {
  const seen = new Set<string>();
  for (const { step, writes } of decided) {
    for (const one of writes) {
      const key =
        one.kind === 'delete' ? `${one.type}/${one.id}` : `${one.resource.resourceType}/${one.resource.id}`;
      if (seen.has(key)) throw duplicate(step.at, 'an entry before this changes the same resource');
      seen.add(key);
    }
  }
}

const duplicate = (at: number, text: string): Failure =>
  new Failure('fhir.invalid', 'A transaction must not change the same resource twice.', {
    issues: [{ text, at: `Bundle.entry[${at}]`, type: 'duplicate' }],
  });

/** Puts what every `fullUrl` became into the references; parts off those that hold conditional references. */
function withLinks(decided: readonly Decided[]): { plain: Decided[]; conditional: Decided[] } {
  const links = resolvedLinks(
    decided.map(({ step, writes, existing }) => ({ step, id: existing?.id ?? idOf(writes[0]) ?? step.id })),
  );
  const all = decided.map((one) => withReferences(one, links.of(one.step)));
  for (const { step, writes } of all) checkPlaceholders(step, writes);
  return {
    plain: all.filter(({ step }) => step.links.size === 0),
    conditional: all.filter(({ step }) => step.links.size > 0),
  };
}

/** R4 bundle.html#references: a `urn:uuid:…` that no entry has would be stored as a reference that nothing can follow. */
function checkPlaceholders({ at }: Step, writes: readonly ResourceWrite[]): void {
  for (const write of writes) {
    if (write.kind === 'delete' || linksOf(write.resource, (link) => PLACEHOLDER.test(link)).size === 0)
      continue;
    throw new Failure('fhir.invalid', 'A reference names a fullUrl that no entry of the Bundle has.', {
      issues: [
        {
          text: 'a urn: reference in it is the fullUrl of no entry',
          at: `Bundle.entry[${at}]`,
          type: 'not-found',
        },
      ],
    });
  }
}

const PLACEHOLDER = /^urn:(?:uuid|oid):/;

const idOf = (write: ResourceWrite | undefined): string | null =>
  write && write.kind !== 'delete' ? (write.resource.id ?? null) : null;

function withReferences(one: Decided, ids: ReadonlyMap<string, string>): Decided {
  if (ids.size === 0) return one;
  const writes = one.writes.map((write): ResourceWrite => {
    if (write.kind === 'delete') return write;
    const resource = replaceReferences(write.resource as Resource & { id: string }, ids);
    return { ...write, resource };
  });
  return { ...one, writes };
}

async function withConditionalLinks(decided: readonly Decided[], run: Running): Promise<Decided[]> {
  const found = new Map<string, string>();
  const { tx, access, server } = run;
  for (const { step, writes } of decided) {
    if (writes.length === 0) continue;
    await run.naming(step.at, () =>
      resolveConditional(step.links, found, { store: server.store, tx, access }),
    );
  }
  return decided.map((one) => withReferences(one, found));
}

/** A create of the same transaction may meet the criteria of an update in it, which comes after creates: then there are two, and that is no match. */
async function checkCriteriaAgain(
  decided: readonly Decided[],
  { server, tx, access, naming }: Running,
): Promise<void> {
  const created = new Set(decided.flatMap(({ step }) => (step.kind === 'create' ? [step.type] : [])));
  for (const { step } of decided) {
    const { kind, type, criteria, at } = step;
    if (criteria === null || (kind !== 'update' && kind !== 'patch') || !created.has(type)) continue;
    await naming(at, () => matchOne(server.store, tx, type, criteria, access));
  }
}

async function answerOf(
  step: Step,
  decided: Decided | undefined,
  stored: ReadonlyMap<ResourceWrite, StoredResource>,
  { server, tx, naming }: Running,
): Promise<FhirAnswer> {
  if (!decided) return naming(step.at, () => server.interact({ ...step.request, sql: tx }));
  const { existing, writes } = decided;
  const version = existing ?? (writes[0] && stored.get(writes[0]));
  if (!version || step.kind === 'delete') {
    const headers =
      version && writes.length === 1 && version.versionId !== '0' ? versionHeaders(version) : {};
    return { status: 204, headers, body: null };
  }
  const status = existing || version.versionId !== '1' ? 200 : 201;
  return answerWrite(version, status, step.request, server.store.base);
}
