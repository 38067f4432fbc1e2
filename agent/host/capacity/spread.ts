/**
 * Divides a whole `amount` over shares in proportion to whole, non-negative `weights`, by largest remainder: the shares
 * are whole, add up to the amount, and ties go to the lower index, so the same input always gives the same shares. As
 * long as the amount is at most the weights' sum, no share is larger than its weight. Weights that are all zero count
 * as equal.
 */
export function spread(amount: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const exact = weights.map((weight) => (sum > 0 ? amount * (weight / sum) : amount / weights.length));
  let rest = amount;
  const shares = exact.map((share) => {
    const whole = Math.min(Math.floor(share), rest);
    rest -= whole;
    return whole;
  });
  const byRemainder = exact
    .map((share, index) => ({ index, remainder: share - Math.floor(share) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (let turn = 0; rest > 0 && byRemainder.length > 0; turn += 1, rest -= 1) {
    const index = byRemainder[turn % byRemainder.length]?.index ?? 0;
    shares[index] = (shares[index] ?? 0) + 1;
  }
  return shares;
}
