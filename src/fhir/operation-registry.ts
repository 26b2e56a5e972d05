import type { CapabilityStatementRestSecurity, Extension, Resource } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import type { AccessContext } from './access-context.ts';
import type { Caller, FhirAnswer, FhirRequest } from './fhir-request.ts';

/** R4 operations.html: a named operation, on one resource, on a type, or on the whole system. */
export interface Operation {
  /** With its dollar sign: `$analyze`. */
  readonly name: string;
  readonly level: 'instance' | 'type' | 'system';
  /** The type it is for; needed unless the level is `system`. */
  readonly type?: string;
  /** What it may be called with, in the URL or in Parameters; anything else is refused before it runs (`Prefer: handling=lenient`: left out). */
  readonly parameters: readonly string[];
  /** May it be called by GET? Only when it changes nothing (operations.html#executing-operation-synchronously). */
  readonly get?: boolean;
  /** Canonical URL of its OperationDefinition, when that is not one of ours. */
  readonly definition?: string;
  run(request: OperationRequest): Promise<OperationAnswer>;
}

export interface OperationRequest {
  /** The resource it was called on (level `instance`). */
  readonly id: string | null;
  readonly type: string | null;
  readonly query: URLSearchParams;
  /** Parsed, not validated; mostly Parameters. Null without a body. */
  readonly body: Resource | null;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly access: AccessContext;
  /** Absent inside a Bundle. */
  readonly caller?: Caller;
}

export interface OperationAnswer {
  readonly status: number;
  readonly resource: Resource | null;
  /** The resource as text, for answers that are joined from stored texts; wins over `resource`. */
  readonly json?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What else the CapabilityStatement says of a type. */
export interface TypeSupport {
  readonly profiles: readonly string[];
  readonly extensions: readonly Extension[];
  /** On `rest`. */
  readonly restExtensions: readonly Extension[];
}

/** A type whose resources are kept by somebody else: read and search of it go there, and nobody else writes it. */
export interface TypeSource {
  readonly searchParameters: readonly {
    readonly name: string;
    readonly type: 'date' | 'reference' | 'string' | 'token';
  }[];
  /** `method` and `path` as of a request; throws for what it does not do. */
  answer(request: FhirRequest): Promise<FhirAnswer>;
}

/** Where other folders add their operations, and what else a client should know of a type. */
@Injectable()
export class OperationRegistry {
  private readonly operations = new Map<string, Operation>();
  private readonly descriptions = new Map<string, string>();
  private readonly supported = new Map<string, TypeSupport>();
  private security: CapabilityStatementRestSecurity | null = null;
  private readonly sources = new Map<string, TypeSource>();

  /** Throws when the same operation is there already: two cannot answer one call. */
  register(operation: Operation): void {
    const key = keyOf(operation.level, operation.type, operation.name);
    if (this.operations.has(key)) throw new Error(`The operation ${key} is registered twice.`);
    this.operations.set(key, operation);
  }

  find(level: Operation['level'], type: string | undefined, name: string): Operation | undefined {
    return this.operations.get(keyOf(level, type, name));
  }

  /** Text for the type's entry in the CapabilityStatement (`rest.resource.documentation`). */
  describe(type: string, text: string): void {
    this.descriptions.set(type, text);
  }

  descriptionOf(type: string): string | undefined {
    return this.descriptions.get(type);
  }

  /** Profiles and extensions of the type's entry in the CapabilityStatement, beside those that are there. */
  support(type: string, more: Partial<TypeSupport>): void {
    const before = this.supported.get(type);
    const all = <K extends keyof TypeSupport>(key: K) =>
      [...(before?.[key] ?? []), ...(more[key] ?? [])] as TypeSupport[K][number][];
    this.supported.set(type, {
      profiles: all('profiles') as string[],
      extensions: all('extensions') as Extension[],
      restExtensions: all('restExtensions') as Extension[],
    });
  }

  supportOf(type: string): TypeSupport | undefined {
    return this.supported.get(type);
  }

  restExtensions(): Extension[] {
    return [...this.supported.values()].flatMap((support) => support.restExtensions);
  }

  /** From now on the type is read and searched there. */
  serveFrom(type: string, source: TypeSource): void {
    this.sources.set(type, source);
  }

  sourceOf(type: string | undefined): TypeSource | undefined {
    return type === undefined ? undefined : this.sources.get(type);
  }

  /** `rest.security` of the CapabilityStatement, from whoever checks tokens. */
  secure(security: CapabilityStatementRestSecurity): void {
    this.security = security;
  }

  restSecurity(): CapabilityStatementRestSecurity | null {
    return this.security;
  }

  /** For the CapabilityStatement. */
  all(): readonly Operation[] {
    return [...this.operations.values()];
  }
}

const keyOf = (level: string, type: string | undefined, name: string): string =>
  `${level} ${type ?? ''} ${name}`;
