import type { CodeableConcept, Coding, Parameters, ParametersParameter, Resource } from '@medplum/fhirtypes';
import type { OperationRequest } from '../../fhir/operation-registry.ts';
import { Failure } from '../../kernel/errors.ts';

/** A text longer than this is no code, URL or search text. */
export const PARAMETER_CHARACTERS_MAX = 2_000;

/**
 * What an operation was called with: primitives in the URL, or anything in a Parameters resource (R4 operations.html#request). A body wins over the
 * URL. Names that the operation does not have were refused before it (`fhir/interactions/known-parameters.ts`).
 */
export class OperationParameters {
  private readonly byName = new Map<string, ParametersParameter[]>();

  constructor({ query, body }: Pick<OperationRequest, 'query' | 'body'>) {
    if (body && body.resourceType !== 'Parameters')
      throw new Failure('fhir.invalid', 'The body of an operation must be a Parameters resource.');
    const fromUrl = [...query].map(([name, value]) => ({ name, valueString: value }));
    for (const one of (body as Parameters | null)?.parameter ?? []) this.add(one);
    const inBody = new Set(this.byName.keys());
    for (const one of fromUrl) if (!inBody.has(one.name)) this.add(one);
  }

  private add(parameter: ParametersParameter): void {
    const name = parameter.name ?? '';
    this.byName.set(name, [...(this.byName.get(name) ?? []), parameter]);
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  text(name: string): string | undefined {
    return this.texts(name)[0];
  }

  texts(name: string): string[] {
    return (this.byName.get(name) ?? []).map((parameter) => {
      const found = Object.entries(parameter).find(([key]) =>
        /^value(String|Uri|Canonical|Code|Id|DateTime|Url)$/.test(key),
      )?.[1];
      if (typeof found !== 'string' || found === '') throw wrong(name, 'a text');
      if (found.length > PARAMETER_CHARACTERS_MAX)
        throw wrong(name, `${PARAMETER_CHARACTERS_MAX} characters at most`);
      return found;
    });
  }

  flag(name: string): boolean | undefined {
    const [parameter] = this.byName.get(name) ?? [];
    if (!parameter) return undefined;
    const value = parameter.valueBoolean ?? parameter.valueString;
    if (value === true || value === 'true') return true;
    if (value === false || value === 'false') return false;
    throw wrong(name, 'true or false');
  }

  /** A whole number from 0. */
  count(name: string): number | undefined {
    const [parameter] = this.byName.get(name) ?? [];
    if (!parameter) return undefined;
    const value =
      parameter.valueInteger ??
      parameter.valuePositiveInt ??
      parameter.valueUnsignedInt ??
      parameter.valueString;
    if (!/^\d{1,9}$/.test(String(value))) throw wrong(name, 'a whole number from 0');
    return Number(value);
  }

  coding(name: string): Coding | undefined {
    const [parameter] = this.byName.get(name) ?? [];
    if (!parameter) return undefined;
    if (!parameter.valueCoding?.code) throw wrong(name, 'a Coding with a code, in a Parameters resource');
    return parameter.valueCoding;
  }

  codeableConcept(name: string): CodeableConcept | undefined {
    const [parameter] = this.byName.get(name) ?? [];
    if (!parameter) return undefined;
    if (!parameter.valueCodeableConcept?.coding?.length)
      throw wrong(name, 'a CodeableConcept with a coding, in a Parameters resource');
    return parameter.valueCodeableConcept;
  }

  resource<T extends Resource>(name: string, type: T['resourceType']): T | undefined {
    const [parameter] = this.byName.get(name) ?? [];
    if (!parameter) return undefined;
    if (parameter.resource?.resourceType !== type) throw wrong(name, `a ${type}, in a Parameters resource`);
    return parameter.resource as T;
  }
}

function wrong(name: string, what: string): Failure {
  const text = `The parameter ${name} must be ${what}.`;
  return new Failure('fhir.invalid', text, { issues: [{ text, at: `Parameters.parameter('${name}')` }] });
}

/** Parts of a Parameters resource that have a value. */
export function parametersOf(...parameter: (ParametersParameter | null)[]): Parameters {
  return { resourceType: 'Parameters', parameter: parameter.filter((one) => one !== null) };
}
