package httpapi

import (
	"strconv"
	"strings"
)

// negotiate picks the offer a client likes best (RFC 9110 section 12.5.1):
// the highest quality, among equals the more specific range, then the earlier
// offer. An empty Accept takes the first offer; "" means that none will do.
func negotiate(accept string, offers ...string) string {
	if strings.TrimSpace(accept) == "" {
		return offers[0]
	}
	best, bestQuality, bestRank := "", 0, 0
	for _, offer := range offers {
		quality, rank := quality(accept, offer)
		if quality > bestQuality || quality == bestQuality && quality > 0 && rank > bestRank {
			best, bestQuality, bestRank = offer, quality, rank
		}
	}
	return best
}

// quality is the weight, in thousandths, that the most specific matching range
// gives an offer, and how specific that range is.
func quality(accept, offer string) (weight, rank int) {
	for entry := range strings.SplitSeq(accept, ",") {
		name, parameters, _ := strings.Cut(entry, ";")
		if r := specificity(strings.ToLower(strings.TrimSpace(name)), offer); r > rank {
			weight, rank = weightOf(parameters), r
		}
	}
	return weight, rank
}

// exactly is the rank of a range that names the offer itself.
const exactly = 3

// specificity ranks how closely a media range names an offer; 0 is not at all.
func specificity(mediaRange, offer string) int {
	kind, _, _ := strings.Cut(offer, "/")
	switch mediaRange {
	case offer:
		return exactly
	case kind + "/*":
		return 2
	case "*/*":
		return 1
	}
	return 0
}

const fullWeight = 1000

// weightOf reads the q of a media range (RFC 9110 section 12.4.2); 0 if it is
// malformed: what cannot be read is not wanted.
func weightOf(parameters string) int {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		whole, fraction, _ := strings.Cut(value, ".")
		if whole != "0" && whole != "1" || len(fraction) > 3 {
			return 0
		}
		n, err := strconv.ParseUint(whole+(fraction + "000")[:3], 10, 16)
		if err != nil || n > fullWeight {
			return 0
		}
		return int(n)
	}
	return fullWeight
}
