package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// controlURL is where azurefake takes orders.
const controlURL = "http://10.99.0.1:8765"

// azure is the control API of the fake in the namespace srv.
type azure struct{ client http.Client }

func newAzure() *azure { return &azure{http.Client{Timeout: 20 * time.Second}} }

// order gives an order, in the JSON form of azurefake.Order.
func (a *azure) order(text string) error {
	_, err := a.call(http.MethodPost, "/orders", []byte(text))
	return err
}

// reset forgets all orders and requests.
func (a *azure) reset() error {
	_, err := a.call(http.MethodDelete, "/requests", nil)
	return errors.Join(err, a.forgetOrders())
}

func (a *azure) forgetOrders() error {
	_, err := a.call(http.MethodDelete, "/orders", nil)
	return err
}

// token mints an access token for the storage accounts, as the fake's metadata service would.
func (a *azure) token(o azurefake.MintOptions) ([]byte, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return a.call(http.MethodPost, "/tokens", body)
}

// requests are those for a target since the last reset.
func (a *azure) requests(target string) ([]azurefake.Request, error) {
	text, err := a.call(http.MethodGet, "/requests?target="+target, nil)
	if err != nil {
		return nil, err
	}
	var list []azurefake.Request
	return list, json.Unmarshal(text, &list)
}

func (a *azure) call(method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, controlURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(text))
	}
	return text, err
}
