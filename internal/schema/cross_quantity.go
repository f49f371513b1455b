package schema

import (
	"encoding/json"
	"math/big"
	"strings"

	"github.com/provolt/provolt/internal/passport"
)

// exact reads the value of a JSON number from its text, or returns nil when
// it is no quantity a record may hold. No float is involved.
func exact(n json.Number) *big.Rat {
	r, err := passport.ParseQuantity(n.String())
	if err != nil {
		return nil // strict parsing has refused it already
	}
	return r
}

// decimal is an exact constant of this package, written as the source it is
// cited from prints it.
func decimal(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("schema: " + s + " is no decimal") // a constant of ours, found by any test
	}
	return r
}

func powerOfTen(n int) *big.Rat {
	if n < 0 {
		return new(big.Rat).Inv(powerOfTen(-n))
	}
	return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil))
}

func sum(terms ...*big.Rat) *big.Rat {
	total := new(big.Rat)
	for _, t := range terms {
		total.Add(total, t)
	}
	return total
}

func product(factors ...*big.Rat) *big.Rat {
	total := big.NewRat(1, 1)
	for _, f := range factors {
		total.Mul(total, f)
	}
	return total
}

func difference(a, b *big.Rat) *big.Rat { return new(big.Rat).Sub(a, b) }

func ratio(a, b *big.Rat) *big.Rat { return new(big.Rat).Quo(a, b) }

func distance(a, b *big.Rat) *big.Rat {
	d := difference(a, b)
	return d.Abs(d)
}

func larger(a, b *big.Rat) *big.Rat {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}

func smaller(a, b *big.Rat) *big.Rat {
	if a.Cmp(b) > 0 {
		return b
	}
	return a
}

// positive reports whether the number is known and above zero.
func positive(r *big.Rat) bool { return r != nil && r.Sign() > 0 }

// known reports whether every number is there.
func known(numbers ...*big.Rat) bool {
	for _, n := range numbers {
		if n == nil {
			return false
		}
	}
	return true
}

// near reports whether found lies within a share of expected.
func near(found, expected, share *big.Rat) bool {
	room := product(expected, share)
	return distance(found, expected).Cmp(room.Abs(room)) <= 0
}

// shown renders a number for a person: six places at most, no trailing
// zeros. Comparisons never use it.
func shown(r *big.Rat) string {
	text := r.FloatString(6)
	text = strings.TrimRight(text, "0")
	text = strings.TrimSuffix(text, ".")
	if text == "-0" || text == "0" && r.Sign() != 0 {
		return r.RatString()
	}
	return text
}
