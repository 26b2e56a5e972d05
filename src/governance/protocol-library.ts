import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { PlanDefinition } from '@medplum/fhirtypes';
import { Inject, Injectable } from '@nestjs/common';
import { folderWith } from '../config/folder-with.ts';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Database } from '../database/database.ts';
import { type ResourceChange, ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import { compareVersions } from './compare-versions.ts';
import { PLAN_TYPE } from './protocols/plan-codes.ts';
import { isProtocolPlan, planToProtocol } from './protocols/plan-to-protocol.ts';
import type { ImagingProtocol } from './protocols/protocol.ts';
import { protocolToPlan } from './protocols/protocol-to-plan.ts';
import { type ReadProtocols, readProtocols } from './protocols/read-protocols.ts';

/** Active protocols that are compared with a study, the first by id: a site has some dozen per modality. One page of a search. */
export const PROTOCOLS_MAX = 200;
/** Another process may have changed one: looked at again after so long. */
const PROTOCOLS_KEPT_MS = 10_000;

/**
 * The imaging protocols of the site. The PlanDefinitions in the store are the truth: files bring a protocol in, and a file with a newer version
 * replaces it; what a site changed over FHIR in the meantime is in its history. A PlanDefinition of our type that means no protocol is refused
 * when it is written.
 */
@Injectable()
export class ProtocolLibrary {
  private kept: { readonly until: number; readonly protocols: readonly ImagingProtocol[] } | null = null;

  constructor(
    private readonly store: ResourceStore,
    private readonly database: Database,
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'PRELIM_PROTOCOLS'>,
  ) {}

  /** Once at start, after the definitions are loaded. Gives the files that hold no protocol, and active PlanDefinitions of ours that an earlier release took for one. */
  async start(own: readonly string[] = ownFolders()): Promise<ReadProtocols['refused']> {
    const shipped = await readProtocols(own);
    const sites = await readProtocols(this.settings.PRELIM_PROTOCOLS);
    for (const protocol of shipped.protocols) await this.bring(protocol, 'once');
    for (const protocol of sites.protocols)
      await this.bring(
        protocol,
        'newer',
        shipped.protocols.find(({ id }) => id === protocol.id),
      );
    this.store.onChange(async (tx, changes) => {
      if (!changes.some(isOurs)) return;
      for (const change of changes) refuseFaults(change);
      tx.afterCommit(() => {
        this.kept = null;
      });
    });
    const stored = (await this.stored()).map(({ id, faults }) => ({ file: `PlanDefinition/${id}`, faults }));
    return [...shipped.refused, ...sites.refused, ...stored.filter(({ faults }) => faults.length > 0)];
  }

  /** The active ones. */
  async active(now = Date.now()): Promise<readonly ImagingProtocol[]> {
    if (this.kept !== null && now < this.kept.until) return this.kept.protocols;
    const protocols = (await this.stored()).flatMap(({ protocol }) => protocol ?? []);
    this.kept = { until: now + PROTOCOLS_KEPT_MS, protocols };
    return protocols;
  }

  private async stored() {
    const found = await this.store.search(
      'PlanDefinition',
      `type=${PLAN_TYPE.system}|${PLAN_TYPE.code}&status=active&_sort=_id&_count=${PROTOCOLS_MAX}`,
    );
    return found.matches.map((one) => ({ id: one.id, ...planToProtocol(one.parse<PlanDefinition>()) }));
  }

  /**
   * A deleted one was deleted by somebody and stays away. A file of the site goes before an example of the same id that nobody has touched: who copies one and makes
   * it active leaves its version as it is.
   */
  private async bring(
    protocol: ImagingProtocol,
    when: 'once' | 'newer',
    example?: ImagingProtocol,
  ): Promise<void> {
    await this.database.transaction(async (tx) => {
      const there = await this.store.read('PlanDefinition', protocol.id, tx);
      if (there !== null) {
        if (when === 'once' || there.deleted) return;
        const plan = there.parse<PlanDefinition>();
        const { version } = plan;
        const isExample = example !== undefined && isDeepStrictEqual(planToProtocol(plan).protocol, example);
        if (!isExample && version !== undefined && compareVersions(protocol.version, version) <= 0) return;
      }
      await this.store.write(tx, [{ kind: 'update', resource: protocolToPlan(protocol), unchanged: 'skip' }]);
    });
  }
}

/** The version before is parsed when it is asked for: of other types nobody does. */
const isOurs = (change: ResourceChange): boolean =>
  change.type === 'PlanDefinition' &&
  [change.resource, change.previous].some(
    (one) => one?.resourceType === 'PlanDefinition' && isProtocolPlan(one),
  );

/** Throws `fhir.validation`, which takes the write back: a protocol that cannot be read would silently stop being compared. */
function refuseFaults({ resource }: ResourceChange): void {
  if (resource?.resourceType !== 'PlanDefinition' || !isProtocolPlan(resource)) return;
  const { faults } = planToProtocol(resource);
  if (faults.length === 0) return;
  throw new Failure(
    'fhir.validation',
    'The PlanDefinition is no imaging protocol as this server reads them.',
    {
      issues: faults.map(({ at = '', text }) => ({
        at: at === '' || at.startsWith('/') ? 'PlanDefinition' : `PlanDefinition.${at}`,
        text: at.startsWith('/') ? `as imaging-protocol/1, ${at}: ${text}` : text,
      })),
    },
  );
}

/** `protocols` beside package.json, whether this runs from `src` or from a build of it. */
function ownFolders(): readonly string[] {
  const own = join(folderWith('package.json') ?? '/', 'protocols');
  return existsSync(own) ? [own] : [];
}
