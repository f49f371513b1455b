package httpapi

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"
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

const (
	sweepEvery = time.Minute
	maxBuckets = 100_000
)

func newLimiter(l Limits) *limiter { return &limiter{limits: l, bucket: map[string]*rate.Limiter{}} }

func (l *limiter) allowAddress(c *gin.Context, address string, at time.Time) bool {
	return l.allow(c, "lookups", "a:"+address, l.limits.LookUps, l.limits.LookUpsBurst, at)
}

func (l *limiter) allowOrg(c *gin.Context, org string, at time.Time) bool {
	return l.allow(c, "requests", "o:"+org, l.limits.Requests, l.limits.RequestsBurst, at)
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
	h["RateLimit-Policy"] = []string{fmt.Sprintf("%q;q=%d;w=%d", policy, burst, window)}
	h["RateLimit"] = []string{fmt.Sprintf("%q;r=%d;t=%d", policy, int(left), int(math.Ceil((float64(burst)-left)/perSecond)))}
	if !ok {
		h["Retry-After"] = []string{strconv.Itoa(int(math.Ceil(1 / perSecond)))}
	}
	return ok
}

func (l *limiter) of(key string, perSecond float64, burst int, at time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.Sub(l.swept) > sweepEvery || len(l.bucket) > maxBuckets {
		for k, b := range l.bucket {
			if b.TokensAt(at) >= float64(b.Burst()) {
				delete(l.bucket, k)
			}
		}
		l.swept = at
	}
	b, ok := l.bucket[key]
	if !ok {
		b = rate.NewLimiter(rate.Limit(perSecond), burst)
		l.bucket[key] = b
	}
	return b
}
