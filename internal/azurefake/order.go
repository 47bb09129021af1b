package azurefake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The values of Order.Target and Request.Target.
const (
	TargetStorage = "storage"
	TargetIMDS    = "imds"
	TargetEntra   = "entra" // orders are about its token endpoint only
	TargetArc     = "arc"   // orders are about the second of a client's two requests, the one for the token
	TargetAz      = "az"    // the stand-in for the Azure CLI
)

// The values of Order.Garbage. Those that speak of a ticket are for storage only.
const (
	GarbageJSON            = "json"             // a body that is no JSON
	GarbageEmpty           = "empty"            // an empty body
	GarbageTruncatedJSON   = "truncated-json"   // the first half of the right body
	GarbageTicket          = "ticket"           // a kerberosServiceTicket that is no KRB-CRED
	GarbageTruncatedTicket = "truncated-ticket" // a KRB-CRED whose last bytes are missing
	GarbageEmptyTicket     = "empty-ticket"     // an empty kerberosServiceTicket
	GarbageTrailing        = "trailing"         // bytes behind the KRB-CRED
	GarbageHuge            = "huge"             // a valid body of 65 MiB
)

// Order makes the servers answer otherwise than they should. Of the orders that match a request
// the one that was given first applies, alone; what it does not mention stays as usual.
// In JSON the durations are texts as time.ParseDuration takes them.
type Order struct {
	Target   string `json:"target"`             // one of the Target constants
	Host     string `json:"host,omitempty"`     // only requests for this storage account's or authority's host; "" any
	Identity string `json:"identity,omitempty"` // only requests by this identity: "system" or a client id; "" any
	Times    int    `json:"times,omitempty"`    // how many requests it applies to; 0 = until ClearOrders

	// An error answer: XML with a byte order mark from storage, JSON from Entra and the metadata
	// services, what az says. Code without Status means status 400, or what Entra sends with a code of
	// its own (AADSTS...).
	Status     int    `json:"status,omitempty"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
	RetryAfter string `json:"retryAfter,omitempty"` // the header as it shall be

	Delay time.Duration `json:"-"`              // before anything else happens
	Hang  bool          `json:"hang,omitempty"` // no answer until the client gives up or the fake is closed
	Drop  bool          `json:"drop,omitempty"` // the connection is closed without an answer

	// Answer is an answer as it was seen, to the letter: status, headers and body. It is one of AnswerNames,
	// or the absolute path of a file that begins with a status line, as in "HTTP/1.1 403 Forbidden".
	Answer string `json:"answer,omitempty"`

	Redirect    string  `json:"redirect,omitempty"` // 302 to this URL
	Body        *string `json:"body,omitempty"`     // this body, with Status or 200
	ContentType string  `json:"contentType,omitempty"`
	Garbage     string  `json:"garbage,omitempty"` // one of the Garbage constants

	Lifetime time.Duration `json:"-"`                // of the ticket or token; negative = it ended that long ago
	Skew     time.Duration `json:"-"`                // how far the server's clock is ahead: Date header, times and checks
	Spaces   bool          `json:"spaces,omitempty"` // the same JSON in another order, with white space, escapes and unknown members

	// What is wrong with the ticket; for storage only.
	WrongServer        string `json:"wrongServer,omitempty"`        // a ticket for this service (cifs/ is added to a bare host)
	Tickets            *int   `json:"tickets,omitempty"`            // so many tickets, the right one last; 0 = none
	Etype              int32  `json:"etype,omitempty"`              // of ticket and session key; one that we do not know names the session key only
	KeyLen             int    `json:"keyLen,omitempty"`             // length of the session key in bytes
	SessionKeyMismatch bool   `json:"sessionKeyMismatch,omitempty"` // sessionKey differs from the key inside the KRB-CRED
	NoTimes            bool   `json:"noTimes,omitempty"`            // the KRB-CRED tells no times
	Secret             string `json:"secret,omitempty"`             // sealed with the service key of this secret, so that the server refuses it

	// Untrusted makes storage or Entra present a certificate that nobody trusts. It applies to TLS
	// handshakes for Host, which is why Times counts those and nothing else of the order counts.
	Untrusted bool `json:"untrusted,omitempty"`
}

// plainOrder is Order without its JSON methods.
type plainOrder Order

type orderJSON struct {
	*plainOrder
	Delay    string `json:"delay,omitempty"`
	Lifetime string `json:"lifetime,omitempty"`
	Skew     string `json:"skew,omitempty"`
}

// MarshalJSON writes the order with its durations as text.
func (o Order) MarshalJSON() ([]byte, error) {
	p := plainOrder(o)
	return json.Marshal(orderJSON{&p, durationText(o.Delay), durationText(o.Lifetime), durationText(o.Skew)})
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// UnmarshalJSON reads an order. An unknown member is an error: an order with a misspelt member
// would let a test pass that tests nothing.
func (o *Order) UnmarshalJSON(b []byte) error {
	var p plainOrder
	j := orderJSON{plainOrder: &p}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return err
	}
	for _, f := range []struct {
		text string
		into *time.Duration
	}{{j.Delay, &p.Delay}, {j.Lifetime, &p.Lifetime}, {j.Skew, &p.Skew}} {
		if f.text == "" {
			continue
		}
		v, err := time.ParseDuration(f.text)
		if err != nil {
			return err
		}
		*f.into = v
	}
	*o = Order(p)
	return nil
}

// targets are the values that Order.Target can have.
var targets = []string{TargetStorage, TargetIMDS, TargetEntra, TargetArc, TargetAz}

// The Garbage constants by what they spoil.
var (
	bodyGarbage   = []string{GarbageJSON, GarbageEmpty, GarbageTruncatedJSON, GarbageHuge}
	ticketGarbage = []string{GarbageTicket, GarbageTruncatedTicket, GarbageEmptyTicket, GarbageTrailing}
)

// validate refuses orders that could not have an effect.
func (o Order) validate() error {
	storage := o.Target == TargetStorage
	if _, err := readAnswer(o.Answer); o.Answer != "" && err != nil {
		return err
	}
	switch {
	case !slices.Contains(targets, o.Target):
		return fmt.Errorf("target %q is none of %q", o.Target, targets)
	case o.Times < 0 || o.Delay < 0 || o.KeyLen < 0 || o.Tickets != nil && *o.Tickets < 0:
		return fmt.Errorf("a number is negative that cannot be")
	case o.Status != 0 && (o.Status < 200 || o.Status > 599):
		return fmt.Errorf("status %d is none that a server answers with", o.Status)
	case !storage && o.forStorage():
		return fmt.Errorf("the order speaks of something that only storage has")
	case !storage && o.Target != TargetEntra && (o.Host != "" || o.Untrusted):
		return fmt.Errorf("the order speaks of a host, and %s has but one", o.Target)
	case o.Target == TargetAz && o.Answer != "":
		return fmt.Errorf("az gives no answer by HTTP")
	case o.Target == TargetAz && o.Garbage == GarbageHuge:
		return fmt.Errorf("garbage %q is more than az can print", o.Garbage)
	case o.Garbage == "", slices.Contains(bodyGarbage, o.Garbage):
		return nil
	case !slices.Contains(ticketGarbage, o.Garbage):
		return fmt.Errorf("garbage %q is unknown", o.Garbage)
	case !storage:
		return fmt.Errorf("garbage %q is for storage only", o.Garbage)
	}
	return nil
}

func (o Order) forStorage() bool {
	return o.WrongServer != "" || o.Tickets != nil || o.Etype != 0 || o.KeyLen != 0 ||
		o.SessionKeyMismatch || o.NoTimes || o.Secret != ""
}

// Order gives an order. It panics on one that could not have an effect, which is a mistake in the
// test that gives it.
func (f *Fake) Order(o Order) {
	if err := f.orders.add(o); err != nil {
		panic("azurefake: " + err.Error())
	}
}

// ClearOrders forgets all orders.
func (f *Fake) ClearOrders() { f.orders.clear() }

// orderBook holds the orders that still apply, in the order they were given.
type orderBook struct {
	mu   sync.Mutex
	list []*standingOrder
}

type standingOrder struct {
	Order
	left int // how often it still applies; meaningless when Times is 0
}

func (b *orderBook) add(o Order) error {
	if err := o.validate(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, &standingOrder{o, o.Times})
	return nil
}

func (b *orderBook) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = nil
}

// forRequest takes the order that applies to a request; the zero Order is none.
func (b *orderBook) forRequest(target, host, identity string) Order {
	o, _ := b.take(func(o Order) bool {
		return !o.Untrusted && o.Target == target && matches(o.Host, host) && matches(o.Identity, identity)
	})
	return o
}

// forHandshake reports whether the handshake for a host shall show an untrusted certificate.
func (b *orderBook) forHandshake(target, host string) bool {
	_, ok := b.take(func(o Order) bool { return o.Untrusted && o.Target == target && matches(o.Host, host) })
	return ok
}

func matches(pattern, value string) bool {
	return pattern == "" || strings.EqualFold(pattern, value)
}

func (b *orderBook) take(applies func(Order) bool) (Order, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, s := range b.list {
		if !applies(s.Order) {
			continue
		}
		if s.Times > 0 {
			if s.left--; s.left == 0 {
				b.list = slices.Delete(b.list, i, i+1)
			}
		}
		return s.Order, true
	}
	return Order{}, false
}
