import { tryGetDataType } from '@medplum/core';

/** Can there be several elements at `Type.element.element`? Unknown paths count as repeating, which is always right, only slower. */
export function elementRepeats(path: string): boolean {
  const [type = '', ...names] = path.split('.');
  let schema = tryGetDataType(type);
  for (const [at, name] of names.entries()) {
    const element = schema?.elements[name];
    if (!element || element.isArray) return true;
    schema = tryGetDataType(
      `${type}${names
        .slice(0, at + 1)
        .map(capital)
        .join('')}`,
    );
  }
  return false;
}

const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);
