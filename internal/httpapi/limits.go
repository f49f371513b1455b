package httpapi

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/provolt/provolt/internal/passport"
)

// limiter keeps a token bucket per address and per organisation. Buckets that
// are full again are dropped, so that memory follows the clients of the last
// minutes and not those of all time.
type limiter struct {
	limits Limits
	mu     sync.Mutex
	bucket map[string]*rate.Limiter
	swept  time.Time
}

// A sweep looks at every bucket: it is made once a minute, and once a second
// while there are more buckets than honest clients make.
const (
	sweepEvery = time.Minute
	sweepFull  = time.Second
	maxBuckets = 100_000
)

func newLimiter(l Limits) *limiter { return &limiter{limits: l, bucket: map[string]*rate.Limiter{}} }

func (l *limiter) allowAddress(c *gin.Context, at time.Time) bool {
	return l.allow(c, "lookups", "a:"+network(c.ClientIP()), l.limits.LookUps, l.limits.LookUpsBurst, at)
}

func (l *limiter) allowOrg(c *gin.Context, org passport.OrgID, at time.Time) bool {
	return l.allow(c, "requests", "o:"+string(org), l.limits.Requests, l.limits.RequestsBurst, at)
}

// network is what anonymous requests are counted by: an IPv4 address, or the
// /64 that one IPv6 subscriber has to choose addresses from.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}

// allow takes a token and says in RateLimit headers what is left
// (draft-ietf-httpapi-ratelimit-headers).
func (l *limiter) allow(c *gin.Context, policy, key string, perSecond float64, burst int, at time.Time) bool {
	if perSecond <= 0 {
		return true
	}
	b := l.of(key, perSecond, burst, at)
	ok := b.AllowN(at, 1)
	left := math.Max(0, math.Floor(b.TokensAt(at)))
	h := c.Writer.Header()
	window := int(math.Ceil(float64(burst) / perSecond))
	h["Ratelimit-Policy"] = []string{fmt.Sprintf("%q;q=%d;w=%d", policy, burst, window)}
	h["Ratelimit"] = []string{fmt.Sprintf("%q;r=%d;t=%d", policy, int(left), int(math.Ceil((float64(burst)-left)/perSecond)))}
	if !ok {
		h["Retry-After"] = []string{strconv.Itoa(int(math.Ceil(1 / perSecond)))}
	}
	return ok
}

func (l *limiter) of(key string, perSecond float64, burst int, at time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(at)
	b, ok := l.bucket[key]
	if !ok {
		b = rate.NewLimiter(rate.Limit(perSecond), burst)
		l.bucket[key] = b
	}
	return b
}

// sweep drops the buckets that are full again and, while there are still too
// many, others with them: an attacker with many addresses gains requests, not
// our memory.
func (l *limiter) sweep(at time.Time) {
	since := at.Sub(l.swept)
	if since < sweepEvery && (len(l.bucket) < maxBuckets || since < sweepFull) {
		return
	}
	for k, b := range l.bucket {
		if b.TokensAt(at) >= float64(b.Burst()) || len(l.bucket) >= maxBuckets {
			delete(l.bucket, k)
		}
	}
	l.swept = at
}
