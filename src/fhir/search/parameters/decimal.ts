/**
 * Exact arithmetic with decimal texts, so that 5.35 mg compared with 5.35 mg is equal after both were converted. `Infinity` stays what it is.
 */
export function scaled(value: string, factor: string, offset: string): string {
  if (value.endsWith('Infinity')) return value;
  const a = parts(value);
  if (factor === '1' && offset === '0') return text(a);
  const b = parts(factor);
  const c = parts(offset);
  const product = { digits: a.digits * b.digits, power: a.power + b.power };
  if (c.digits === 0n) return text(product);
  const power = Math.min(product.power, c.power);
  const raised = (one: Parts): bigint => one.digits * 10n ** BigInt(one.power - power);
  return text({ digits: raised(product) + raised(c), power });
}

interface Parts {
  readonly digits: bigint;
  readonly power: number;
}

function parts(value: string): Parts {
  const [mantissa = '0', power = '0'] = value.toLowerCase().split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return { digits: BigInt(`${whole}${fraction}`), power: Number(power) - fraction.length };
}

const text = ({ digits, power }: Parts): string => (power === 0 ? `${digits}` : `${digits}e${power}`);
