import type { ConceptMap, Resource } from '@medplum/fhirtypes';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { demandAccess } from '../fhir/access-context.ts';
import { OperationRegistry, type OperationRequest } from '../fhir/operation-registry.ts';
import { KNOWN as EXPAND, expand } from './operations/expand.ts';
import { KNOWN as LOOKUP, lookup } from './operations/lookup.ts';
import { KNOWN as SUBSUMES, subsumes } from './operations/subsumes.ts';
import { KNOWN as TRANSLATE, translate } from './operations/translate.ts';
import { OF_SET, OF_SYSTEM, validateCodeInSet, validateCodeInSystem } from './operations/validate-code.ts';
import { LICENSED_MAP } from './shipped-terminology.ts';
import { TerminologySources } from './terminology-sources.ts';

type Run = (request: OperationRequest) => Promise<Resource>;
type Level = 'type' | 'instance';

/** The terminology operations of R4 (terminology-service.html), by GET and by POST: they change nothing. */
@Injectable()
export class TerminologyOperations implements OnModuleInit {
  constructor(
    private readonly registry: OperationRegistry,
    private readonly sources: TerminologySources,
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'SNOMED_LICENSED'>,
  ) {}

  onModuleInit(): void {
    const { sources } = this;
    const counts = (map: ConceptMap) => this.settings.SNOMED_LICENSED === 'yes' || map.id !== LICENSED_MAP;
    this.add('CodeSystem', '$lookup', ['type'], LOOKUP, (request) => lookup(request, sources));
    this.add('CodeSystem', '$subsumes', BOTH, SUBSUMES, (request) => subsumes(request, sources));
    this.add('CodeSystem', '$validate-code', BOTH, OF_SYSTEM, (request) =>
      validateCodeInSystem(request, sources),
    );
    this.add('ValueSet', '$validate-code', BOTH, OF_SET, (request) => validateCodeInSet(request, sources));
    this.add('ValueSet', '$expand', BOTH, EXPAND, (request) => expand(request, sources, () => new Date()));
    this.add('ConceptMap', '$translate', BOTH, TRANSLATE, (request) => translate(request, sources, counts));
  }

  private add(
    type: string,
    name: string,
    levels: readonly Level[],
    known: readonly string[],
    run: Run,
  ): void {
    for (const level of levels)
      this.registry.register({
        name,
        level,
        type,
        parameters: [...known, ...WITHOUT_EFFECT],
        get: true,
        run: async (request) => {
          demandAccess(request.access, type, 'read');
          return { status: 200, resource: await run(request) };
        },
      });
  }
}

/** Of reads and searches; clients send them with everything. */
const WITHOUT_EFFECT = ['_summary', '_elements'];

const BOTH = ['type', 'instance'] as const;
