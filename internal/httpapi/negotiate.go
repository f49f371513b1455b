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
	best, bestQuality, bestRank := "", 0.0, 0
	for _, offer := range offers {
		quality, rank := quality(accept, offer)
		if quality > bestQuality || quality == bestQuality && quality > 0 && rank > bestRank {
			best, bestQuality, bestRank = offer, quality, rank
		}
	}
	return best
}

// quality is the weight that the most specific matching range gives an offer.
func quality(accept, offer string) (float64, int) {
	weight, rank := 0.0, 0
	for entry := range strings.SplitSeq(accept, ",") {
		name, parameters, _ := strings.Cut(entry, ";")
		if r := specificity(strings.ToLower(strings.TrimSpace(name)), offer); r > rank {
			weight, rank = weightOf(parameters), r
		}
	}
	return weight, rank
}

// specificity ranks how closely a media range names an offer; 0 is not at all.
func specificity(mediaRange, offer string) int {
	kind, _, _ := strings.Cut(offer, "/")
	switch mediaRange {
	case offer:
		return 3
	case kind + "/*":
		return 2
	case "*/*":
		return 1
	}
	return 0
}

func weightOf(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || q < 0 || q > 1 {
			return 0
		}
		return q
	}
	return 1
}
