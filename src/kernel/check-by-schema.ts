import { Ajv, type ErrorObject, type Options } from 'ajv';

/**
 * A check by a JSON Schema that ships with the server: gives every fault of a value, none when it fits.
 *
 * It is compiled when it is first asked: the four of them took a third of a start's processor time. Two parts of compiling are left out for the same
 * reason, as each costs more than it wins for a few hundred values: making the compiled code smaller, and checking the schema itself, which the tests do.
 */
export function checkBySchema(
  schema: object,
  options: Pick<Options, 'discriminator' | 'allowUnionTypes' | 'verbose' | 'strict'> = {},
): (value: unknown) => readonly ErrorObject[] {
  const compile = () =>
    new Ajv({ ...options, allErrors: true, validateSchema: false, code: { optimize: false } }).compile(
      schema,
    );
  let validate: ReturnType<typeof compile> | null = null;
  return (value) => {
    validate ??= compile();
    return validate(value) ? [] : [...(validate.errors ?? [])];
  };
}
