package main

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// What is read of SMB2 ([MS-SMB2] 2.2.1.2, 2.2.5, 2.2.13): who a session logs in as, and what is opened in it.
const (
	smbHeader       = 64
	smbSessionSetup = 1
	smbCreate       = 5
	smbIsResponse   = 1 // in Flags of the header
	smbIsBinding    = 1 // in Flags of SESSION_SETUP
)

// smbMessage is one request or response.
type smbMessage struct {
	command  uint16
	response bool
	status   uint32 // of a response
	id       uint64 // pairs a request with its response, within a connection
	session  uint64
	bytes    []byte // with the header
}

// nextFrame takes a frame of SMB over TCP off a stream, all of it or nothing ([MS-SMB2] 2.1).
func nextFrame(stream []byte) (frame, rest []byte, ok bool) {
	if len(stream) < 4 {
		return nil, stream, false
	}
	length := int(binary.BigEndian.Uint32(stream) & 0xffffff)
	if len(stream) < 4+length {
		return nil, stream, false
	}
	return stream[4 : 4+length], stream[4+length:], true
}

// smbMessages takes a frame apart: requests can be compounded. What is not SMB2, or is encrypted, gives none.
func smbMessages(frame []byte) (all []smbMessage) {
	for len(frame) >= smbHeader && string(frame[:4]) == "\xfeSMB" {
		next := int(binary.LittleEndian.Uint32(frame[20:]))
		if next <= smbHeader || next > len(frame) {
			next = len(frame)
		}
		all = append(all, smbMessage{
			command:  binary.LittleEndian.Uint16(frame[12:]),
			response: binary.LittleEndian.Uint32(frame[16:])&smbIsResponse != 0,
			status:   binary.LittleEndian.Uint32(frame[8:]),
			id:       binary.LittleEndian.Uint64(frame[24:]),
			session:  binary.LittleEndian.Uint64(frame[40:]),
			bytes:    frame[:next],
		})
		frame = frame[next:]
	}
	return all
}

// setup is what a request for a session says.
type setup struct {
	ticket   []byte // DER of the Kerberos ticket
	binding  bool   // it is a further channel of the session that the header names
	previous uint64 // the session that it takes the place of, 0 for none
}

func (m smbMessage) setup() (s setup, err error) {
	if len(m.bytes) < smbHeader+24 {
		return s, errors.New("a SESSION_SETUP request ends before its fields do")
	}
	body := m.bytes[smbHeader:]
	s.binding = body[2]&smbIsBinding != 0
	s.previous = binary.LittleEndian.Uint64(body[16:])
	blob, err := m.buffer(body[12:])
	if err != nil {
		return s, err
	}
	s.ticket, err = ticketIn(blob)
	return s, err
}

// created is the path that a CREATE request opens, below the share.
func (m smbMessage) created() (string, error) {
	if len(m.bytes) < smbHeader+48 {
		return "", errors.New("a CREATE request ends before its fields do")
	}
	raw, err := m.buffer(m.bytes[smbHeader+44:])
	if err != nil {
		return "", err
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return strings.ReplaceAll(string(utf16.Decode(units)), `\`, "/"), nil
}

// buffer is what an offset from the header and a length, both of two bytes, lead to.
func (m smbMessage) buffer(at []byte) ([]byte, error) {
	from, length := int(binary.LittleEndian.Uint16(at)), int(binary.LittleEndian.Uint16(at[2:]))
	if from+length > len(m.bytes) {
		return nil, errors.New("a field of a request lies behind its end")
	}
	return m.bytes[from : from+length], nil
}

// The tags of the application class of RFC 2743 (3.1) and RFC 4120 (5.5.1).
const (
	tagToken asn1.Tag = 0x60
	tagAPReq asn1.Tag = 0x6e
)

func contextTag(n uint8) asn1.Tag { return asn1.Tag(n).Constructed().ContextSpecific() }

// ticketIn takes the ticket out of a login: a SPNEGO NegTokenInit (RFC 4178, 4.2.1), in it the token of Kerberos
// (RFC 4121, 4.1), in that an AP-REQ.
func ticketIn(login []byte) ([]byte, error) {
	read := cryptobyte.String(login)
	var token, choice, init, field, mech, inner, request, fields, ticket cryptobyte.String
	ok := read.ReadASN1(&token, tagToken) && token.SkipASN1(asn1.OBJECT_IDENTIFIER) &&
		token.ReadASN1(&choice, contextTag(0)) && choice.ReadASN1(&init, asn1.SEQUENCE) &&
		init.SkipASN1(contextTag(0)) && init.SkipOptionalASN1(contextTag(1)) &&
		init.ReadASN1(&field, contextTag(2)) && field.ReadASN1(&mech, asn1.OCTET_STRING) &&
		mech.ReadASN1(&inner, tagToken) && inner.SkipASN1(asn1.OBJECT_IDENTIFIER) && inner.Skip(2) &&
		inner.ReadASN1(&request, tagAPReq) && request.ReadASN1(&fields, asn1.SEQUENCE) &&
		fields.SkipASN1(contextTag(0)) && fields.SkipASN1(contextTag(1)) && fields.SkipASN1(contextTag(2)) &&
		fields.ReadASN1(&ticket, contextTag(3))
	if !ok {
		return nil, errors.New("a login is no Kerberos ticket in SPNEGO")
	}
	return ticket, nil
}
